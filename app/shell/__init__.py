"""What stands around every page: state, frame, controls, jobs."""
