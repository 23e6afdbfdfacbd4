package reconcile

// Keys of log records.
const (
	logBundle   = "bundle"
	logRevision = "revision"
	logObject   = "object"
	logKind     = "kind"
	logHolder   = "holder"
	logManager  = "manager"
	logCount    = "count"
	logReason   = "reason"
	logTook     = "took"
	logError    = "error"
)
