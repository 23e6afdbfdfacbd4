package consensus

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
)

// logAdapter is an hclog.Logger that writes to slog, two steps quieter than raft means it: what raft calls an error
// is often only a peer that is away.
type logAdapter struct {
	hclog.Logger // the parts that raft does not use
	out          *slog.Logger
	name         string
	args         []any
}

func raftLogger(out *slog.Logger, name string) hclog.Logger {
	return &logAdapter{Logger: hclog.NewNullLogger(), out: out.With("part", name), name: name}
}

// level maps a level of raft; what it says at debug and below is dropped.
func level(l hclog.Level) (slog.Level, bool) {
	switch {
	case l >= hclog.Error:
		return slog.LevelInfo, true
	case l >= hclog.Info:
		return slog.LevelDebug, true
	}
	return 0, false
}

// ofPeers begin raft's messages about members that do not answer. It repeats them many times a second for as long as
// one is away; who is away is told by others.
var ofPeers = []string{
	"failed to heartbeat", "failed to appendEntries", "failed to pipeline", "failed to make requestVote", "failed to make preVote",
	"failed to send snapshot", "failed to contact",
}

func ofPeer(msg string) bool {
	return slices.ContainsFunc(ofPeers, func(begin string) bool { return strings.HasPrefix(msg, begin) })
}

func (a *logAdapter) Log(l hclog.Level, msg string, args ...any) {
	to, ok := level(l)
	if ofPeer(msg) {
		to = slog.LevelDebug
	}
	if !ok || !a.out.Enabled(context.Background(), to) {
		return
	}
	a.out.Log(context.Background(), to, "raft says", append([]any{"message", msg}, plain(append(a.args[:len(a.args):len(a.args)], args...))...)...)
}

// plain renders hclog's own value types, which slog does not know.
func plain(args []any) []any {
	for i, v := range args {
		if f, ok := v.(hclog.Format); ok && len(f) > 0 {
			args[i] = fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
		}
	}
	return args
}

func (a *logAdapter) Trace(msg string, args ...any) {}
func (a *logAdapter) Debug(msg string, args ...any) {}
func (a *logAdapter) Info(msg string, args ...any)  { a.Log(hclog.Info, msg, args...) }
func (a *logAdapter) Warn(msg string, args ...any)  { a.Log(hclog.Warn, msg, args...) }
func (a *logAdapter) Error(msg string, args ...any) { a.Log(hclog.Error, msg, args...) }

func (a *logAdapter) IsTrace() bool { return false }
func (a *logAdapter) IsDebug() bool { return false }
func (a *logAdapter) IsInfo() bool  { return a.out.Enabled(context.Background(), slog.LevelDebug) }
func (a *logAdapter) IsWarn() bool  { return a.IsInfo() }
func (a *logAdapter) IsError() bool { return a.out.Enabled(context.Background(), slog.LevelInfo) }

func (a *logAdapter) Name() string          { return a.name }
func (a *logAdapter) ImpliedArgs() []any    { return a.args }
func (a *logAdapter) GetLevel() hclog.Level { return hclog.Info }
func (a *logAdapter) SetLevel(hclog.Level)  {}

func (a *logAdapter) With(args ...any) hclog.Logger {
	b := *a
	b.args = append(a.args[:len(a.args):len(a.args)], args...)
	return &b
}

func (a *logAdapter) Named(name string) hclog.Logger      { return raftLogger(a.out, a.name+"."+name) }
func (a *logAdapter) ResetNamed(name string) hclog.Logger { return raftLogger(a.out, name) }

func (a *logAdapter) StandardWriter(*hclog.StandardLoggerOptions) io.Writer { return io.Discard }
func (a *logAdapter) StandardLogger(o *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(a.StandardWriter(o), "", 0)
}
