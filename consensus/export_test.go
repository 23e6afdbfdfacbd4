package consensus

// These bring back, in tests, the faults that the package answers.

func WithHeartbeatFastPath(c *Config) { c.faults.heartbeatFastPath = true }
func WithVerifyLeader(c *Config)      { c.faults.verifyLeader = true }
func WithoutNudge(c *Config)          { c.faults.noNudge = true }
func WithoutGuard(c *Config)          { c.faults.noGuard = true }
func WithoutAdmission(c *Config)      { c.faults.admitAll = true }
func WithFreshSequence(c *Config)     { c.faults.freshSequence = true }
