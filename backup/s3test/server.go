// Package s3test is as much of S3 as backups use, in memory, with faults. It looks at the name of the access key, and at no
// signature.
package s3test

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// AccessKey is the one that the server knows.
const AccessKey = "hanse-test"

// Server holds the objects of all buckets. It is an http.RoundTripper, too: then nothing goes over a network.
type Server struct {
	*httptest.Server
	mu      sync.Mutex
	objects map[string][]byte
	uploads map[string]map[int][]byte
	began   int
	asked   int
	// refuses is the code of the error that answers everything, slow how long each answer takes by RoundTrip.
	refuses string
	slow    time.Duration
	// fail answers the next requests with 500, cut breaks the connection in the middle of the next part.
	fail, cut int
}

// New starts a server; the caller closes it.
func New() *Server {
	s := Carrier()
	s.Server = httptest.NewServer(s)
	return s
}

// Carrier is a server that only RoundTrip reaches: it starts nothing, and knows virtual time.
func Carrier() *Server {
	return &Server{objects: map[string][]byte{}, uploads: map[string]map[int][]byte{}}
}

// RoundTrip implements http.RoundTripper.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	defer r.Body.Close()
	s.mu.Lock()
	slow := s.slow
	s.mu.Unlock()
	timer := time.NewTimer(slow)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if r.Method == http.MethodPut && s.take(&s.cut) {
		io.CopyN(io.Discard, r.Body, 100)
		return nil, io.ErrUnexpectedEOF
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result(), nil
}

// Refuse answers everything with an error of this code, from now on; "" no more.
func (s *Server) Refuse(code string) { s.mu.Lock(); defer s.mu.Unlock(); s.refuses = code }

// Slow lets each request by RoundTrip take so long.
func (s *Server) Slow(d time.Duration) { s.mu.Lock(); defer s.mu.Unlock(); s.slow = d }

// Asked is how many requests came.
func (s *Server) Asked() int { s.mu.Lock(); defer s.mu.Unlock(); return s.asked }

// Fail makes the next n requests fail with an internal error.
func (s *Server) Fail(n int) { s.mu.Lock(); defer s.mu.Unlock(); s.fail = n }

// Cut breaks the connection in the middle of the next n uploads of a part or an object, or downloads.
func (s *Server) Cut(n int) { s.mu.Lock(); defer s.mu.Unlock(); s.cut = n }

// Names of the objects, as bucket/key, sorted.
func (s *Server) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects))
}

// Object is what lies under bucket/key.
func (s *Server) Object(name string) []byte { s.mu.Lock(); defer s.mu.Unlock(); return s.objects[name] }

// Put puts something there that a stranger wrote.
func (s *Server) Put(name string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects[name] = data
}

// Unfinished is how many uploads were begun and neither completed nor given up.
func (s *Server) Unfinished() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.uploads) }

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.Contains(r.Header.Get("Authorization"), "Credential="+AccessKey+"/") {
		refuse(w, http.StatusForbidden, "InvalidAccessKeyId", "The AWS access key ID you provided does not exist in our records.")
		return
	}
	s.mu.Lock()
	s.asked++
	code := s.refuses
	s.mu.Unlock()
	if code != "" {
		refuse(w, http.StatusForbidden, code, "No.")
		return
	}
	if s.take(&s.fail) {
		refuse(w, http.StatusInternalServerError, "InternalError", "We encountered an internal error.")
		return
	}
	q := r.URL.Query()
	name := strings.TrimPrefix(r.URL.Path, "/")
	switch {
	case r.Method == http.MethodGet && q.Has("location"):
		fmt.Fprint(w, `<LocationConstraint xmlns="http://s3.amazonaws.com/doc/2006-03-01/"></LocationConstraint>`)
	case r.Method == http.MethodGet && q.Has("list-type"):
		s.list(w, name, q.Get("prefix"))
	case r.Method == http.MethodPost && q.Has("uploads"):
		s.begin(w, name)
	case r.Method == http.MethodPut && q.Has("uploadId"):
		s.part(w, r, q.Get("uploadId"), q.Get("partNumber"))
	case r.Method == http.MethodPost && q.Has("uploadId"):
		s.complete(w, name, q.Get("uploadId"))
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		s.abort(w, q.Get("uploadId"))
	case r.Method == http.MethodPut:
		s.put(w, r, name)
	case r.Method == http.MethodDelete:
		s.mu.Lock()
		delete(s.objects, name)
		s.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		s.get(w, r, name)
	default:
		refuse(w, http.StatusNotImplemented, "NotImplemented", r.Method+" "+r.URL.String())
	}
}

func (s *Server) take(n *int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if *n == 0 {
		return false
	}
	*n--
	return true
}

// receive reads a body; ok is false when it did not come whole, or the connection was cut on purpose.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) (data []byte, ok bool) {
	if s.take(&s.cut) {
		io.CopyN(io.Discard, r.Body, 100)
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			c.Close()
		}
		return nil, false
	}
	body := io.Reader(r.Body)
	if strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		body = &awsChunks{from: bufio.NewReader(r.Body)}
	}
	data, err := io.ReadAll(body)
	return data, err == nil
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, name string) {
	data, ok := s.receive(w, r)
	if !ok {
		return
	}
	s.Put(name, data)
	w.Header().Set("ETag", `"e"`)
}

func (s *Server) begin(w http.ResponseWriter, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began++
	id := strconv.Itoa(s.began)
	s.uploads[id] = map[int][]byte{}
	bucket, key, _ := strings.Cut(name, "/")
	fmt.Fprintf(w, `<InitiateMultipartUploadResult><Bucket>%s</Bucket><Key>%s</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>`, bucket, key, id)
}

func (s *Server) part(w http.ResponseWriter, r *http.Request, id, number string) {
	data, ok := s.receive(w, r)
	if !ok {
		return
	}
	n, err := strconv.Atoi(number)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uploads[id] == nil || err != nil {
		refuse(w, http.StatusNotFound, "NoSuchUpload", "no such upload")
		return
	}
	s.uploads[id][n] = data
	w.Header().Set("ETag", `"`+number+`"`)
}

func (s *Server) complete(w http.ResponseWriter, name, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	parts := s.uploads[id]
	var whole []byte
	for _, n := range slices.Sorted(maps.Keys(parts)) {
		whole = append(whole, parts[n]...)
	}
	s.objects[name] = whole
	delete(s.uploads, id)
	bucket, key, _ := strings.Cut(name, "/")
	fmt.Fprintf(w, `<CompleteMultipartUploadResult><Bucket>%s</Bucket><Key>%s</Key><ETag>"e"</ETag></CompleteMultipartUploadResult>`, bucket, key)
}

func (s *Server) abort(w http.ResponseWriter, id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.uploads, id)
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) list(w http.ResponseWriter, bucket, prefix string) {
	bucket = strings.Trim(bucket, "/") + "/"
	fmt.Fprint(w, `<ListBucketResult>`)
	for _, name := range s.Names() {
		if key, ok := strings.CutPrefix(name, bucket); ok && strings.HasPrefix(key, prefix) {
			fmt.Fprintf(w, `<Contents><Key>%s</Key><LastModified>2026-01-02T03:04:05Z</LastModified><Size>%d</Size></Contents>`, key, len(s.Object(name)))
		}
	}
	fmt.Fprint(w, `</ListBucketResult>`)
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, name string) {
	data := s.Object(name)
	if data == nil {
		refuse(w, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
		return
	}
	w.Header().Set("ETag", `"e"`)
	w.Header().Set("Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	if r.Method == http.MethodGet && s.take(&s.cut) {
		data = data[:len(data)/2] // the server ends the connection: less came than was said
	}
	w.Write(data)
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	xml.NewEncoder(w).Encode(struct {
		XMLName       xml.Name `xml:"Error"`
		Code, Message string
	}{Code: code, Message: message})
}

// awsChunks undoes the framing of a signed stream: size in hex;extensions CRLF data CRLF … 0 CRLF trailers.
type awsChunks struct {
	from *bufio.Reader
	left int64
	done bool
}

func (a *awsChunks) Read(b []byte) (int, error) {
	if a.done {
		return 0, io.EOF
	}
	if a.left == 0 {
		line, err := a.from.ReadString('\n')
		if err != nil {
			return 0, io.ErrUnexpectedEOF
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		if a.left, err = strconv.ParseInt(size, 16, 64); err != nil {
			return 0, fmt.Errorf("chunk of size %q", size)
		}
		if a.left == 0 {
			a.done = true
			_, err := io.Copy(io.Discard, a.from)
			return 0, max0(err)
		}
	}
	n, err := a.from.Read(b[:min(int64(len(b)), a.left)])
	if a.left -= int64(n); a.left == 0 && err == nil {
		_, err = a.from.Discard(2)
	}
	return n, err
}

// max0 is the end of a stream that ended well.
func max0(err error) error {
	if err == nil {
		return io.EOF
	}
	return err
}
