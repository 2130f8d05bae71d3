"""The demo: the whole product on one laptop, as a job, a report and a page."""
