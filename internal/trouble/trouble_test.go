package trouble

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"
)

func TestTroubleIsToldOnceForAsLongAsItIsTheSame(t *testing.T) {
	var logged bytes.Buffer
	log := slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	var stuck Trouble
	for _, why := range []string{"", "full", "full", "gone", "full", "", "", "full"} {
		var err error
		if why != "" {
			err = errors.New(why)
		}
		stuck.Tell(log, "not written", err, "term", 2)
	}
	const want = `level=WARN msg="not written" term=2 err=full
level=WARN msg="not written" term=2 err=gone
level=WARN msg="not written" term=2 err=full
level=INFO msg="over: not written" term=2 was=full
level=WARN msg="not written" term=2 err=full
`
	if logged.String() != want {
		t.Errorf("the log has\n%s", &logged)
	}
}
