package apiserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

// withForm refuses what is applied to a discreet kind and has not its form, such as a Secret's data written into a FleetSecret. Server-side
// apply would say what it found in the place of what is expected, in its answer and in the log: the very password.
func (s *Server) withForm(h http.Handler, negotiated runtime.NegotiatedSerializer) http.Handler {
	kinds := served()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, ok := apirequest.RequestInfoFrom(r.Context())
		i := slices.IndexFunc(kinds, func(k kind) bool {
			return ok && k.discreet && info.Verb == "patch" && info.APIGroup == v1alpha1.GroupName && info.Resource == k.plural
		})
		if i >= 0 && isApply(r) {
			if err := hasForm(r, kinds[i]); err != nil {
				responsewriters.ErrorNegotiated(err, negotiated, v1alpha1.SchemeGroupVersion, w, r)
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}

func isApply(r *http.Request) bool {
	given, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && given == string(types.ApplyYAMLPatchType)
}

// hasForm reads a request's body, which can be read again afterwards. What it returns repeats no value.
func hasForm(r *http.Request, k kind) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), r.Body), r.Body}
	if err != nil || len(body) > maxBody {
		return nil // the handler says so
	}
	value, err := yaml.YAMLToJSON(body)
	if err != nil {
		return apierrors.NewBadRequest("what is applied is no YAML")
	}
	unknown, err := json.UnmarshalStrict(value, k.new(), json.DisallowUnknownFields)
	if err = errors.Join(err, errors.Join(unknown...)); err != nil {
		return apierrors.NewBadRequest(fmt.Sprintf("what is applied is no %s: %s", k.kind, strings.ReplaceAll(err.Error(), "\n", ", ")))
	}
	return nil
}

// discreet makes encoders that leave out of an error what a patch would have made of the object.
type discreet struct{ runtime.NegotiatedSerializer }

// EncoderForVersion implements runtime.NegotiatedSerializer.
func (d discreet) EncoderForVersion(e runtime.Encoder, gv runtime.GroupVersioner) runtime.Encoder {
	return discreetEncoder{d.NegotiatedSerializer.EncoderForVersion(e, gv)}
}

type discreetEncoder struct{ runtime.Encoder }

// Encode implements runtime.Encoder.
func (e discreetEncoder) Encode(obj runtime.Object, w io.Writer) error {
	if status, ok := obj.(*metav1.Status); ok && status.Reason == metav1.StatusReasonInvalid {
		obj = withoutPatched(status)
	}
	return e.Encoder.Encode(obj, w)
}

// withoutPatched is an error without the whole object that a patch would have made: the generic server tells it as the invalid value of "patch".
func withoutPatched(status *metav1.Status) *metav1.Status {
	if status.Details == nil {
		return status
	}
	i := slices.IndexFunc(status.Details.Causes, func(c metav1.StatusCause) bool { return c.Field == "patch" })
	if i < 0 {
		return status
	}
	status = status.DeepCopy()
	cause := &status.Details.Causes[i]
	cause.Message = "it makes of the object what it cannot be" + withoutValue(cause.Message)
	status.Message = "the patch is invalid: " + cause.Message
	return status
}

// withoutValue is what a field's error says after the value; empty when it has another form.
func withoutValue(message string) string {
	_, rest, _ := strings.Cut(message, ": ")
	value, err := strconv.QuotedPrefix(rest)
	if err != nil {
		return ""
	}
	return rest[len(value):]
}
