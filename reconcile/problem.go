package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/plan"
)

// Reasons of a v1alpha1.Problem.
const (
	ReasonConflict       = "Conflict"                 // somebody else's object is in the way
	ReasonRefused        = "Refused"                  // the cluster refuses the object as it is
	ReasonNotEstablished = "NotEstablished"           // a definition or namespace does not become usable
	ReasonUnhealthy      = "Unhealthy"                // applied, and says of itself that it failed
	ReasonPruneFailed    = "PruneFailed"              // should be gone and is not
	ReasonUnknownKind    = "UnknownKind"              // the cluster does not serve the kind
	ReasonNotRendered    = v1alpha1.ReasonNotRendered // an override of the bundle cannot be applied here
)

// Bounds of what a report carries. All of its text comes from manifests, webhooks and other strangers.
const (
	maxProblems = 16
	maxMessage  = 512
	maxName     = 253
)

// problem is why one object is not as it should be. The zero value: it is.
type problem struct{ reason, message string }

func (p problem) of(ref v1alpha1.ObjectRef) v1alpha1.Problem {
	return v1alpha1.Problem{ObjectRef: ref, Reason: p.reason, Message: clip(p.message, maxMessage)}
}

// isAway says that an error is about the way to kube-apiserver, and not about the object that was asked for. Only
// what is surely so counts: an object whose own error were taken for it would hold up all others.
func isAway(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return apierrors.IsUnauthorized(err)
	}
	var connection net.Error // url.Error too
	return errors.As(err, &connection) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// isKindGone says that the server does not know the resource, other than not having the object.
func isKindGone(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	d := status.Status().Details
	return d == nil || d.Name == "" || slices.ContainsFunc(d.Causes, func(c metav1.StatusCause) bool {
		return c.Type == metav1.CauseTypeUnexpectedServerResponse
	})
}

// problemOf says what an error of kube-apiserver means for the object.
func problemOf(kind schema.GroupKind, err error) problem {
	var status apierrors.APIStatus
	switch {
	case !errors.As(err, &status):
		return problem{ReasonRefused, err.Error()}
	case isKindGone(err):
		return problem{ReasonUnknownKind, fmt.Sprintf("the cluster does not serve the kind %s now", kind)}
	}
	reason, message := ReasonRefused, problemText(kind, err)
	if isFieldConflict(err) {
		reason = ReasonConflict
	}
	if fields, _ := plan.Immutable(err); len(fields) > 0 {
		message = hinted(message, immutableHint)
	}
	return problem{reason, message}
}

// problemText is what kube-apiserver says of an object. What a Secret holds must not get into a message, so of Secrets only the names
// of fields are told.
func problemText(kind schema.GroupKind, err error) string {
	var status apierrors.APIStatus
	switch {
	case !errors.As(err, &status):
		return err.Error()
	case kind == kindSecret:
		return refusedSecret(status.Status())
	}
	return status.Status().Message
}

// immutableHint is the way on from a field that the cluster lets nobody change.
const immutableHint = "; take the change back, or delete the object in the cluster: it is made anew. With the annotation " +
	v1alpha1.AnnotationReplace + ": " + v1alpha1.ReplaceWhenImmutable + " that happens by itself, unless data would go with it"

func isFieldConflict(err error) bool {
	return apierrors.IsConflict(err) && apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict)
}

// refusedSecret tells of what a cluster says of a Secret nothing that a webhook of somebody, who sees the values, may have put in words of its own.
func refusedSecret(s metav1.Status) string {
	message := "the cluster refuses it: " + oneOf(s.Reason, reasons)
	if s.Details == nil {
		return message
	}
	var fields []string
	for _, c := range s.Details.Causes {
		at := c.Field
		if !secretField.MatchString(at) {
			at = "a field"
		}
		fields = append(fields, fmt.Sprintf("%s (%s)", at, oneOf(c.Type, causes)))
	}
	return strings.TrimSuffix(message+"; "+strings.Join(fields, ", "), "; ")
}

// secretField is a field that a Secret has, by its path.
var secretField = regexp.MustCompile(`^(apiVersion|kind|type|immutable|(data|stringData|metadata)(\.[-\w]+|\[[-._/\w]+\])*)$`)

// oneOf is what was said when it is one of the words that Kubernetes has for that.
func oneOf[word ~string](said word, known []word) string {
	if !slices.Contains(known, said) {
		return "Unknown"
	}
	return string(said)
}

var reasons = []metav1.StatusReason{
	metav1.StatusReasonUnauthorized, metav1.StatusReasonForbidden, metav1.StatusReasonNotFound, metav1.StatusReasonAlreadyExists, metav1.StatusReasonConflict,
	metav1.StatusReasonGone, metav1.StatusReasonInvalid, metav1.StatusReasonServerTimeout, metav1.StatusReasonStoreReadError, metav1.StatusReasonTimeout,
	metav1.StatusReasonTooManyRequests, metav1.StatusReasonBadRequest, metav1.StatusReasonMethodNotAllowed, metav1.StatusReasonNotAcceptable,
	metav1.StatusReasonRequestEntityTooLarge, metav1.StatusReasonUnsupportedMediaType, metav1.StatusReasonInternalError, metav1.StatusReasonExpired,
	metav1.StatusReasonServiceUnavailable,
}

var causes = []metav1.CauseType{
	metav1.CauseTypeFieldValueNotFound, metav1.CauseTypeFieldValueRequired, metav1.CauseTypeFieldValueDuplicate, metav1.CauseTypeFieldValueInvalid,
	metav1.CauseTypeFieldValueNotSupported, metav1.CauseTypeForbidden, metav1.CauseTypeTooLong, metav1.CauseTypeTooMany, metav1.CauseTypeInternal,
	metav1.CauseTypeTypeInvalid, metav1.CauseTypeUnexpectedServerResponse, metav1.CauseTypeFieldManagerConflict, metav1.CauseTypeResourceVersionTooLarge,
	metav1.CauseType(field.ErrorTypeTooFew), metav1.CauseType(field.ErrorTypeTooShort),
}

// wordless is an error of the way to the cluster, told of a Secret without words of whoever is on that way: a webhook may say that the member is
// not authorized, and what it sees.
func wordless(kind schema.GroupKind, err error) error {
	if kind == kindSecret && apierrors.IsUnauthorized(err) {
		return apierrors.NewUnauthorized("the cluster does not let the member write Secrets")
	}
	return err
}

// hinted is a message with a hint of what to do behind it, and more of them as long as there is room: a command that is cut is none.
func hinted(message, hint string, more ...string) string {
	message = clip(message, maxMessage-len(hint)) + hint
	for _, one := range more {
		if len(message)+len(one) <= maxMessage {
			message += one
		}
	}
	return message
}

// clip makes text fit for a report: valid UTF-8, one line, at most limit bytes.
func clip(text string, limit int) string {
	const more = "…"
	if len(text) > 4*limit {
		text = text[:4*limit]
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) <= limit {
		return text
	}
	cut := limit - len(more)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + more
}
