package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/hanse-fleet/hanse/agent"
)

// The types of causes by which a member says what a refused write means.
const (
	causeNoQuorum  metav1.CauseType = "NoQuorum"
	causeNotKnown  metav1.CauseType = "NotKnown" // not here, and without quorum nobody can say that it is nowhere
	causeUncertain metav1.CauseType = "Uncertain"
	causeStarting  metav1.CauseType = "Starting" // it does not know its own state yet; nothing was done
	causeVotes     metav1.CauseType = "Votes"    // a cluster is not removed as long as it votes, and nothing else is in the way
)

func hasCause(err error, cause metav1.CauseType) bool {
	status := apierrors.APIStatus(nil)
	if !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	for _, c := range status.Status().Details.Causes {
		if c.Type == cause {
			return true
		}
	}
	return false
}

// explain turns what went wrong with a request into what a person can use.
func (f *fleet) explain(ctx context.Context, r request, err error) error {
	var status apierrors.APIStatus
	var dial *net.OpError
	changes := r.verb != "GET"
	switch {
	case hasCause(err, causeNoQuorum):
		return f.noQuorum(ctx, err)
	case hasCause(err, causeNotKnown):
		return &failure{code: exitNoQuorum, why: innermost(err), reason: reasonNotKnown}
	case hasCause(err, causeUncertain):
		return uncertain("the leader changed, or went away, on the way")
	case apierrors.IsTimeout(err) && changes:
		return uncertain(f.server + " ran out of time")
	case errors.As(err, &status):
		return refused(status.Status(), err)
	case errors.As(err, &dial) && dial.Op == "dial" && !errors.Is(err, context.Canceled):
		return f.unreachable(dial)
	case errors.Is(err, context.Canceled) && !changes:
		return &failure{code: exitError, why: "interrupted"}
	case changes:
		return uncertain("no answer from " + f.server + ": " + innermost(err))
	case errors.Is(err, context.DeadlineExceeded):
		return &failure{code: exitUncertain, why: "no answer from " + f.server + " in time", hints: []hint{{words: "give it longer with --timeout, or ask another member with --server"}}}
	}
	return &failure{code: exitError, why: f.server + ": " + innermost(err)}
}

func uncertain(why string) error {
	return &failure{code: exitUncertain, why: "not known whether it was written: " + why, hints: []hint{{words: "repeating the same command is safe"}}}
}

// unreachable is for requests that were never sent.
func (f *fleet) unreachable(dial *net.OpError) error {
	why := innermost(dial.Err)
	out := &failure{code: exitError, why: "no member answers at " + f.server + ": " + why}
	switch {
	case f.socket == "":
		out.hints = []hint{{words: "ask another member with --context NAME, or --server and --config"}}
	case errors.Is(dial, fs.ErrPermission):
		out.hints = []hint{{words: "use the account that runs the agent, or a kubeconfig: --config FILE"}}
	case errors.Is(dial, fs.ErrNotExist), errors.Is(dial, syscall.ECONNREFUSED):
		out.hints = []hint{
			{"start it", "agent " + agent.FlagsFor(filepath.Dir(f.socket))},
			{words: "or ask another member: --server unix:///path/hanse.sock, --data-dir FOLDER or --config FILE"},
		}
	}
	return out
}

// refused is what the API said no to.
func refused(status metav1.Status, err error) error {
	out := &failure{code: exitError, why: plainly(status), reason: status.Reason}
	switch {
	case apierrors.IsInvalid(err) && status.Details != nil && len(status.Details.Causes) > 0:
		out.why, out.hints = invalid(status.Details.Causes)
	case apierrors.IsNotFound(err) && status.Details != nil && status.Details.Name != "":
		out.why = "not found"
		out.hints = []hint{{"see what there is", "get " + status.Details.Kind}}
	case apierrors.IsConflict(err) && fieldConflicts(status) != "":
		out.why = "conflict: " + fieldConflicts(status)
		out.hints = []hint{{words: "take them over with --force-conflicts"}}
		out.reason = "" // no verb may decide on this
	case hasCause(err, causeVotes):
		out.reason = reasonVotes
	case apierrors.IsUnauthorized(err):
		out.why = "this member does not know your certificate"
		out.hints = []hint{{words: "ask an admin for a User with its pin"}}
	case apierrors.IsRequestEntityTooLargeError(err):
		out.why = "too large: " + out.why
	}
	return out
}

// plainly is what the API says, without the name of the object: the verb has told it.
func plainly(status metav1.Status) string {
	said := strings.TrimSpace(status.Message)
	if d := status.Details; d != nil {
		said = strings.TrimPrefix(said, fmt.Sprintf("%s %q is forbidden: ", schema.GroupKind{Group: d.Group, Kind: d.Kind}.String(), d.Name))
	}
	return said
}

// invalid is what is wrong with an object, a field a line.
func invalid(causes []metav1.StatusCause) (first string, others []hint) {
	for i, c := range causes {
		said := c.Message
		if c.Field != "" {
			said = c.Field + ": " + said
		}
		if i == 0 {
			first = said
			continue
		}
		others = append(others, hint{words: said})
	}
	return first, others
}

// fieldConflicts says which fields somebody else has set, and who; empty when that is not what the conflict is.
func fieldConflicts(status metav1.Status) string {
	if status.Details == nil {
		return ""
	}
	var said []string
	for _, c := range status.Details.Causes {
		if c.Type == metav1.CauseTypeFieldManagerConflict {
			who := strings.TrimPrefix(c.Message, "conflict with ")
			said = append(said, fmt.Sprintf("%s is set by %s", strings.TrimPrefix(c.Field, "."), who))
		}
	}
	return strings.Join(said, ", ")
}

// innermost is what went wrong, without the layers that it came through.
func innermost(err error) string {
	for {
		var u *url.Error
		var op *net.OpError
		switch {
		case errors.As(err, &op) && op.Err != nil:
			err = op.Err
		case errors.As(err, &u):
			err = u.Err
		default:
			if inner := errors.Unwrap(err); inner != nil {
				err = inner
				continue
			}
			return strings.TrimSpace(err.Error())
		}
	}
}
