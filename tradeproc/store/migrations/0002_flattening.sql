-- A session that somebody told to get flat and then to stop: neither running on nor to be stopped as it is.
alter type desired_state add value 'flattening';
