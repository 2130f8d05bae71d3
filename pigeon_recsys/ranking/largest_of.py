"""The chance that one of several independent random numbers is the largest, by quadrature.

    P(k is largest) = ∫ f_k(t) Π_{j≠k} F_j(t) dt

In:  the densities f, and edges that part the line finely where any density bends.
Out: K chances that sum to one. Gauss-Legendre nodes inside each panel give both the integral and,
     by the same polynomial, every F at every node; for the densities of `beliefs.py` the error
     stays below 1e-9 (tests/ranking/test_largest_of.py).
"""

from collections.abc import Callable

import numpy as np
from numpy.polynomial.legendre import leggauss, legvander
from numpy.typing import NDArray

# K random numbers, P panels, Q nodes in a panel

Floats = NDArray[np.float64]

NUM_NODES = 16


def _weights_up_to_nodes(nodes_Q: Floats, weights_Q: Floats) -> Floats:
    """Return (Q, Q): the weights that integrate from -1 to each node, exact for polynomials."""
    degree = np.arange(NUM_NODES)
    legendre = legvander(nodes_Q, NUM_NODES)  # (Q, Q + 1): each degree at each node
    integral = np.empty((NUM_NODES, NUM_NODES))
    integral[:, 0] = nodes_Q + 1
    integral[:, 1:] = (legendre[:, 2:] - legendre[:, :-2]) / (2 * degree[1:] + 1)
    coefficient = (degree[:, None] + 0.5) * (legendre[:, :-1] * weights_Q[:, None]).T
    return integral @ coefficient


NODES_Q, WEIGHTS_Q = leggauss(NUM_NODES)
UP_TO_NODE_QQ = _weights_up_to_nodes(NODES_Q, WEIGHTS_Q)


def chances_of_being_largest(densities: Callable[[Floats], Floats], edges: Floats) -> Floats:
    """Return the chance of each to be the largest, (K,).

    `densities` takes points (P, Q) and returns (K, P, Q); outside the edges there is nothing.
    """
    borders = np.unique(edges)
    half_P = np.diff(borders) / 2
    points_PQ = (borders[:-1] + half_P)[:, None] + half_P[:, None] * NODES_Q
    density_KPQ = densities(points_PQ)
    mass_KP = (density_KPQ @ WEIGHTS_Q) * half_P
    before_KP = np.cumsum(mass_KP, axis=1) - mass_KP
    up_to_KPQ = before_KP[..., None] + half_P[:, None] * (density_KPQ @ UP_TO_NODE_QQ.T)
    others_KPQ = _product_of_others(np.clip(up_to_KPQ, 0, 1))
    chance_K = ((density_KPQ * others_KPQ) @ WEIGHTS_Q * half_P).sum(axis=1)
    chance_K = np.maximum(chance_K, 0)
    return np.asarray(chance_K / chance_K.sum())


def _product_of_others(values_KPQ: Floats) -> Floats:
    """Return for each k the product of all but its own."""
    ones = np.ones_like(values_KPQ[:1])
    before = np.cumprod(np.concatenate([ones, values_KPQ[:-1]]), axis=0)
    after = np.cumprod(np.concatenate([ones, values_KPQ[:0:-1]]), axis=0)[::-1]
    return np.asarray(before * after)
