// Package systemd tells systemd how the daemon is: ready, stopping, alive. Beside it lie the unit file and the
// test that holds it to its hardening.
package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Notifier speaks to the service manager that started this process. Started by anything else, it does nothing.
type Notifier struct {
	// watchdog is how long systemd waits for a sign of life; 0 when it does not watch.
	watchdog time.Duration
	logger   *slog.Logger
}

// NewNotifier reads from the environment (NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID) what systemd expects.
func NewNotifier(logger *slog.Logger) (*Notifier, error) {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return nil, fmt.Errorf("read watchdog interval: %w", err)
	}
	return &Notifier{watchdog: watchdog, logger: logger}, nil
}

// Ready says that the daemon serves.
func (n *Notifier) Ready() { n.tell(daemon.SdNotifyReady) }

// Stopping says that the daemon is on its way out, in order.
func (n *Notifier) Stopping() { n.tell(daemon.SdNotifyStopping) }

// Feed gives a sign of life three times in a watchdog interval, each time only if healthy answers within a third
// of it, until ctx ends. While healthy fails, or does not answer, systemd hears nothing, and in the end kills
// the process and starts it again. Without a watchdog it returns at once.
func (n *Notifier) Feed(ctx context.Context, healthy func(ctx context.Context) error) {
	if n.watchdog == 0 {
		return
	}
	every := time.NewTicker(n.watchdog / 3)
	defer every.Stop()
	well := true
	for {
		err := n.ask(ctx, healthy)
		if err == nil {
			n.tell(daemon.SdNotifyWatchdog)
		}
		if ctx.Err() == nil && well != (err == nil) {
			well = err == nil
			n.turned(err)
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
	}
}

func (n *Notifier) ask(ctx context.Context, healthy func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, n.watchdog/3)
	defer cancel()
	if err := healthy(ctx); err != nil {
		return err
	}
	return ctx.Err() // an answer that came late is none
}

func (n *Notifier) turned(err error) {
	if err != nil {
		n.logger.Error("unhealthy, watchdog not fed", "err", err, "killed_after", n.watchdog)
		return
	}
	n.logger.Info("healthy, watchdog fed again")
}

func (n *Notifier) tell(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		n.logger.Warn("systemd not notified", "state", state, "err", err)
	}
}
