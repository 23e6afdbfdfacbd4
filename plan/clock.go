package plan

import "time"

// soaked is when a wave that is healthy since a time has soaked. Of what leaders before this one have seen, so much counts as had passed in the
// log when this one began: its clock may be hours ahead of theirs.
func (c *course) soaked(healthy time.Time, soak time.Duration) time.Time {
	if !healthy.Before(c.Began) {
		return healthy.Add(soak)
	}
	before := min(c.Began.Sub(healthy), max(c.Logged.Sub(healthy), 0))
	return c.Began.Add(soak - before)
}

// seen is for how long this leader has seen what began at a time.
func (c *course) seen(since time.Time) time.Duration {
	if since.Before(c.Began) {
		since = c.Began
	}
	return c.Now.Sub(since)
}
