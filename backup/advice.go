package backup

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/minio/minio-go/v7"
)

// refusal is what an S3 service said, or why it said nothing, and what was asked of it.
type refusal struct {
	doing string
	err   error
}

func (s *s3) failed(verb, name string, err error) error {
	return &refusal{doing: fmt.Sprintf("%s s3://%s/%s", verb, s.bucket, s.object(name)), err: err}
}

// Error tells the code, too, which is what the service's manual explains.
func (r *refusal) Error() string {
	said := minio.ToErrorResponse(r.err)
	if said.Code == "" || strings.Contains(said.Message, said.Code) {
		return fmt.Sprintf("%s: %s", r.doing, r.err)
	}
	return fmt.Sprintf("%s: %s (%s)", r.doing, strings.TrimSuffix(said.Message, "."), said.Code)
}

func (r *refusal) Unwrap() error { return r.err }

const (
	keysAdvice   = "check the credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws/credentials, or s3-credentials in the member's data directory, if that is not encrypted"
	rightsAdvice = "see that there are credentials, and that they may s3:PutObject, s3:AbortMultipartUpload, s3:DeleteObject, s3:GetObject and s3:ListBucket there"
	regionAdvice = "say the bucket's region: AWS_REGION"
	laterAdvice  = "the service cannot do it now: try again later"
)

// advice is what to do about an answer, by its code.
var advice = map[string]string{
	"AccessDenied":                 rightsAdvice,
	"AllAccessDisabled":            rightsAdvice,
	"InvalidAccessKeyId":           keysAdvice,
	"SignatureDoesNotMatch":        keysAdvice,
	"ExpiredToken":                 keysAdvice,
	"InvalidToken":                 keysAdvice,
	"AuthorizationHeaderMalformed": regionAdvice,
	"PermanentRedirect":            regionAdvice,
	"NoSuchBucket":                 "make the bucket, or name one that is there",
	"NoSuchKey":                    "see what lies there; a backup is named FLEET/EPOCH/REVISION" + Suffix,
	"RequestTimeTooSkewed":         "set this machine's clock",
	"InternalError":                laterAdvice,
	"ServiceUnavailable":           laterAdvice,
	"SlowDown":                     laterAdvice,
}

// Advice is what to do about an error of a Place; empty when there is nothing to say.
func Advice(err error) string {
	var r *refusal
	if !errors.As(err, &r) {
		return ""
	}
	if what := advice[minio.ToErrorResponse(r.err).Code]; what != "" {
		return what
	}
	if errors.As(err, new(net.Error)) {
		return "see that the endpoint is right, and can be reached: --s3-endpoint, spec.backup.endpoint of the Fleet, or AWS_ENDPOINT_URL"
	}
	return ""
}
