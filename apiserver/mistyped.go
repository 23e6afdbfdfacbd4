package apiserver

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// discreet makes encoders that leave out of an error what a patch would have made of the object, and decoders that repeat no value of a discreet kind.
type discreet struct {
	runtime.NegotiatedSerializer
	shapes shapes
}

// DecoderToVersion implements runtime.NegotiatedSerializer.
func (d discreet) DecoderToVersion(of runtime.Decoder, gv runtime.GroupVersioner) runtime.Decoder {
	return discreetDecoder{d.NegotiatedSerializer.DecoderToVersion(of, gv), d.shapes}
}

type discreetDecoder struct {
	runtime.Decoder
	shapes shapes
}

// Decode implements runtime.Decoder. What a JSON patch makes is seen here first, and next by who would log what is twice in it.
func (d discreetDecoder) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	k, ok := discreetOf(into)
	if !ok {
		return d.Decoder.Decode(data, defaults, into)
	}
	if json.Valid(data) {
		if wrong := d.shapes.form(k, data, false); wrong != "" {
			return nil, defaults, errors.New(wrong)
		}
	}
	obj, gvk, err := d.Decoder.Decode(data, defaults, into)
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		var said []error
		for _, err := range strict.Errors() {
			said = append(said, errors.New(sayable(err.Error())))
		}
		return obj, gvk, runtime.NewStrictDecodingError(said)
	}
	if err != nil {
		return nil, defaults, errors.New("it has not its form")
	}
	return obj, gvk, nil
}

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
	_, said, _ := strings.Cut(withoutValue(*cause), ": ")
	cause.Message = "it makes of the object what it cannot be: " + said
	status.Message = "the patch is invalid: " + cause.Message
	return status
}
