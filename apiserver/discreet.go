package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/endpoints/responsewriter"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/klog/v2"
	"sigs.k8s.io/yaml"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/apiserver/kvstorage"
)

// What somebody writes into a discreet kind by mistake may be a secret, and the machinery repeats what it cannot read, in its answer or in the log. So
// of a write of such a kind nothing leaves but what is ours: discreetly is the door that answers pass, and storedREST tells it which are; what is no
// Status never comes to the machinery, which would log it.

// discretion is what is ours of the answers to one request.
type discretion struct {
	mu   sync.Mutex // who gave up waiting answers while the storage goes on
	ours []string
}

type discretionKey struct{}

// tell lets an answer out. A request that is not discreet needs no leave.
func tell(ctx context.Context, message string) {
	if d, ok := ctx.Value(discretionKey{}).(*discretion); ok {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.ours = append(d.ours, message)
	}
}

// innocent are answers that tell nothing of a body.
var innocent = []metav1.StatusReason{
	metav1.StatusReasonNotFound, metav1.StatusReasonMethodNotAllowed, metav1.StatusReasonNotAcceptable, metav1.StatusReasonUnsupportedMediaType,
	metav1.StatusReasonRequestEntityTooLarge, metav1.StatusReasonTimeout, metav1.StatusReasonServerTimeout, metav1.StatusReasonTooManyRequests,
}

// lets says whether an answer may go out as it is.
func (d *discretion) lets(status *metav1.Status) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	options := status.Details != nil && status.Details.Group == metav1.GroupName && strings.HasSuffix(status.Details.Kind, "Options") &&
		status.Details.Kind != "DeleteOptions" // it is a body; the others are of the URL
	return options || slices.Contains(innocent, status.Reason) || slices.Contains(d.ours, status.Message)
}

// discreetly serves what is written of discreet kinds. It stands where nothing but the handler of the kind is behind it.
func (s *Server) discreetly(h http.Handler, negotiated runtime.NegotiatedSerializer) http.Handler {
	kinds := served()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := apirequest.RequestInfoFrom(r.Context())
		i := slices.IndexFunc(kinds, func(k kind) bool {
			return ok && k.discreet && info.APIGroup == v1alpha1.GroupName && info.Resource == k.plural
		})
		if i < 0 || !slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, info.Verb) {
			h.ServeHTTP(w, r)
			return
		}
		refuse := func(err error) { responsewriters.ErrorNegotiated(err, negotiated, v1alpha1.SchemeGroupVersion, w, r) }
		if err := s.hasForm(r, kinds[i], info); err != nil {
			refuse(err)
			return
		}
		d, held := &discretion{}, &heldWriter{ResponseWriter: w}
		ctx := warning.WithWarningRecorder(context.WithValue(r.Context(), discretionKey{}, d), discreetWarnings{r.Context()})
		ctx = klog.NewContext(ctx, klog.Logger{}) // the machinery logs, by it, what it finds wrong twice
		h.ServeHTTP(responsewriter.WrapForHTTP1Or2(held), r.WithContext(ctx))
		if held.code == 0 {
			return
		}
		if status := held.status(s.codecs.UniversalDeserializer()); d.lets(status) {
			held.release()
		} else {
			refuse(withheld(kinds[i], status))
		}
	})
}

// withheld is what is said in the place of an answer that may tell a value.
func withheld(k kind, status *metav1.Status) error {
	kept := metav1.Status{Status: metav1.StatusFailure, Code: status.Code, Reason: status.Reason}
	if status.Details != nil {
		kept.Details = &metav1.StatusDetails{RetryAfterSeconds: status.Details.RetryAfterSeconds}
	}
	kept.Message = fmt.Sprintf("the %s is refused as it was sent; why is not repeated, as that may hold a value: compare it with kubectl explain %s", k.kind, k.plural)
	return &apierrors.StatusError{ErrStatus: kept}
}

// heldWriter keeps an answer that is an error until somebody has looked at it.
type heldWriter struct {
	http.ResponseWriter
	code int // 0: it is none
	body bytes.Buffer
}

// Unwrap is for http.ResponseController.
func (h *heldWriter) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (h *heldWriter) WriteHeader(code int) {
	if code < http.StatusBadRequest {
		h.ResponseWriter.WriteHeader(code)
		return
	}
	h.code = code
}

// Write implements http.ResponseWriter.
func (h *heldWriter) Write(p []byte) (int, error) {
	if h.code == 0 {
		return h.ResponseWriter.Write(p)
	}
	return h.body.Write(p)
}

// status is what is held; what cannot be read has no message.
func (h *heldWriter) status(decoder runtime.Decoder) *metav1.Status {
	obj, _, err := decoder.Decode(h.body.Bytes(), nil, nil)
	if status, ok := obj.(*metav1.Status); ok && err == nil {
		return status
	}
	h.Header().Del("Content-Encoding")
	return &metav1.Status{Code: int32(h.code)}
}

func (h *heldWriter) release() {
	h.ResponseWriter.WriteHeader(h.code)
	_, _ = h.ResponseWriter.Write(h.body.Bytes()) // who asked is gone
}

// discreetWarnings pass on what is ours, and of the machinery's what tells no value.
type discreetWarnings struct{ to context.Context }

// AddWarning implements warning.Recorder.
func (d discreetWarnings) AddWarning(agent, text string) {
	switch {
	case agent == kvstorage.WarningAgent:
	case strings.Contains(text, " field "):
		text = sayable(text)
	default:
		text = "something in it is unusual; it is not repeated, as it may be a value"
	}
	warning.AddWarning(d.to, agent, text)
}

// hasForm reads what is written, which can be read again afterwards. A JSON patch has the form of none: what it makes is looked at when it is decoded.
func (s *Server) hasForm(r *http.Request, k kind, info *apirequest.RequestInfo) error {
	given, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";") // as the handler of patches does it
	given = strings.ToLower(strings.TrimSpace(given))
	if info.Verb == "delete" || info.Verb == "deletecollection" || given == string(types.JSONPatchType) {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
	if err != nil || len(body) > maxBody {
		return nil // the handler says so
	}
	switch {
	case strings.Contains(given, "yaml"):
		if body, err = yaml.YAMLToJSONStrict(body); err != nil {
			return apierrors.NewBadRequest("what is sent is no YAML, or has a field twice")
		}
	case given != "" && !strings.Contains(given, "json"):
		return nil // the handler takes no other
	case !json.Valid(body):
		return apierrors.NewBadRequest("what is sent is no JSON")
	}
	applied := given == string(types.ApplyYAMLPatchType)
	wrong := s.shapes.form(k, body, applied || r.URL.Query().Get("fieldValidation") == metav1.FieldValidationStrict && info.Verb != "patch")
	if wrong == "" && (applied || info.Verb != "patch") {
		wrong = misnamed(k, body, info.Name, applied)
	}
	if wrong != "" {
		return apierrors.NewBadRequest(fmt.Sprintf("what is sent is no %s: %s", k.kind, wrong))
	}
	return nil
}

// misnamed says why an object is not that which it is sent for.
func misnamed(k kind, body []byte, name string, whole bool) string {
	var said metav1.PartialObjectMetadata
	_ = json.Unmarshal(body, &said) // it has the form
	switch {
	case said.Kind != k.kind && (whole || said.Kind != ""):
		return "kind must be " + k.kind
	case said.APIVersion != v1alpha1.SchemeGroupVersion.String() && (whole || said.APIVersion != ""):
		return "apiVersion must be " + v1alpha1.SchemeGroupVersion.String()
	case name != "" && said.Name != name && (!whole || said.Name != ""):
		return fmt.Sprintf("metadata.name must be %s, as in the path that it is sent to", name)
	case said.Namespace != "":
		return "metadata.namespace must be left out: it is in no namespace"
	}
	return ""
}

// patched makes what is told of a patch that cannot be made; the machinery's own words have the object in them, or the patch.
type patched struct {
	rest.UpdatedObjectInfo
	kind   kind
	shapes shapes
}

// UpdatedObject implements rest.UpdatedObjectInfo.
func (p patched) UpdatedObject(ctx context.Context, old runtime.Object) (runtime.Object, error) {
	obj, err := p.UpdatedObjectInfo.UpdatedObject(ctx, old)
	if err == nil {
		return obj, nil
	}
	told, ok := err.(apierrors.APIStatus)
	if !ok { // of any kind: what is no Status is logged, and a bundle may have a Secret in the wrong place
		return nil, unpatchable(fmt.Sprintf("the patch makes of the %s what it cannot be%s", p.kind.kind, misfit(err)))
	}
	if !p.kind.discreet {
		return nil, err
	}
	switch status := told.Status(); status.Reason {
	case metav1.StatusReasonInvalid:
		return nil, unpatchable(p.wrong(&status))
	case metav1.StatusReasonBadRequest:
		return nil, apierrors.NewBadRequest(fmt.Sprintf("what is sent is no patch of a %s: its form is not that of its content type", p.kind.kind))
	}
	return nil, err // storedREST looks at it
}

// typed is what server-side apply says of a field, up to the value that it found.
var typed = regexp.MustCompile(`\.([a-z][A-Za-z0-9]{0,39}(?:\[\d+\]|\.[a-z][A-Za-z0-9]{0,39})*): (field not declared in schema|expected [a-z]+|duplicate entries)`)

// misfit says which fields of what is applied do not fit, and no values; empty when that is not known.
func misfit(err error) string {
	var all []string
	for _, found := range typed.FindAllStringSubmatch(err.Error(), maxWrongs) {
		switch at, why := found[1], found[2]; {
		case strings.HasPrefix(why, "field"):
			all = append(all, fmt.Sprintf("unknown field %q", at))
		case strings.HasPrefix(why, "dup"):
			all = append(all, at+" has an entry twice")
		default:
			all = append(all, at+" must be a "+strings.TrimPrefix(why, "expected "))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return ": " + strings.Join(all, "; ")
}

// wrong says what a patch makes wrong.
func (p patched) wrong(status *metav1.Status) string {
	i := -1
	if status.Details != nil {
		i = slices.IndexFunc(status.Details.Causes, func(c metav1.StatusCause) bool { return c.Field == "patch" })
	}
	if i < 0 {
		return fmt.Sprintf("the patch does not fit the %s as it is: it tests for, or names, what is not there", p.kind.kind)
	}
	_, made, _ := strings.Cut(status.Details.Causes[i].Message, ": ")
	made, _ = strconv.QuotedPrefix(made)
	made, _ = strconv.Unquote(made)
	said := fmt.Sprintf("the patch makes of the %s what it cannot be", p.kind.kind)
	if wrong := p.shapes.form(p.kind, []byte(made), true); json.Valid([]byte(made)) && wrong != "" {
		said += ": " + wrong
	}
	return said
}

func unpatchable(message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusUnprocessableEntity, Reason: metav1.StatusReasonInvalid, Message: message,
	}}
}

// told is an error of the storage as it may leave.
func (r storedREST) told(ctx context.Context, err error) error {
	if err == nil || !r.kind.discreet {
		return err
	}
	var said apierrors.APIStatus
	if !errors.As(err, &said) {
		said = apierrors.NewInternalError(fmt.Errorf("the %s could not be written: %T", r.kind.kind, err))
	}
	status := withoutValues(said.Status())
	tell(ctx, status.Message)
	return &apierrors.StatusError{ErrStatus: status}
}

// withoutValues is an error with its fields, and without what is in them.
func withoutValues(status metav1.Status) metav1.Status {
	if status.Details == nil {
		return status
	}
	status = *status.DeepCopy()
	for i := range status.Details.Causes {
		status.Details.Causes[i].Field = keyed.ReplaceAllString(status.Details.Causes[i].Field, "[…]")
	}
	switch status.Reason {
	case metav1.StatusReasonConflict:
		if strings.Contains(status.Message, "recondition") || strings.Contains(status.Message, "uid mismatch") { // they tell the UID that was sent
			status.Message = "it is another one of that name, or another version of it, than was asked for: read it, and try again"
		}
		status.Message = keyed.ReplaceAllString(status.Message, "[…]")
	case metav1.StatusReasonInvalid:
		var all []string
		for i := range status.Details.Causes {
			cause := &status.Details.Causes[i]
			cause.Message = withoutValue(*cause)
			if cause.Field == "metadata.name" {
				status.Details.Name = ""
			}
			all = append(all, cause.Field+": "+cause.Message)
		}
		if len(all) > 0 {
			status.Message = fmt.Sprintf("%s %q is invalid: %s", status.Details.Kind, status.Details.Name, strings.Join(all, ", "))
		}
	}
	return status
}

// keyed is the part of a path that says which element by what is in it; an index and the name of a key stay.
var keyed = regexp.MustCompile(`\[[^\]]*[^-._a-zA-Z0-9\]][^\]]*\]`)

// withoutValue is the message of a cause without the value that it begins with, behind its type.
func withoutValue(cause metav1.StatusCause) string {
	switch cause.Type {
	case metav1.CauseTypeFieldValueRequired, metav1.CauseType("FieldValueForbidden"), metav1.CauseType("FieldValueTooLong"), metav1.CauseType("FieldValueTooShort"):
		return cause.Message
	}
	kind, rest, _ := strings.Cut(cause.Message, ": ")
	if value, err := strconv.QuotedPrefix(rest); err == nil {
		return kind + rest[len(value):]
	}
	reader := json.NewDecoder(strings.NewReader(rest))
	var value any
	if reader.Decode(&value) == nil {
		return kind + rest[reader.InputOffset():]
	}
	return kind + ": " + rest
}
