package apiserver

import (
	"bytes"
	"io"

	"k8s.io/apimachinery/pkg/runtime"
)

// splicing makes encoders that hand over what they made where they can, instead of having it copied. The server of a watch
// would keep a buffer of the largest event that it ever encoded, as long as the watch lives.
type splicing struct{ runtime.NegotiatedSerializer }

// EncoderForVersion implements runtime.NegotiatedSerializer.
func (s splicing) EncoderForVersion(e runtime.Encoder, gv runtime.GroupVersioner) runtime.Encoder {
	return splicer{s.NegotiatedSerializer.EncoderForVersion(e, gv)}
}

type splicer struct{ runtime.Encoder }

// Encode implements runtime.Encoder.
func (s splicer) Encode(obj runtime.Object, w io.Writer) error {
	to, ok := w.(runtime.Splice)
	if !ok {
		return s.Encoder.Encode(obj, w)
	}
	var made bytes.Buffer
	if err := s.Encoder.Encode(obj, &made); err != nil {
		return err
	}
	to.Splice(made.Bytes())
	return nil
}
