package agent

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func TestAMetricGatePassesWhenEveryNumberDoes(t *testing.T) {
	const vector = `{"status":"success","data":{"resultType":"vector","result":[%s]}}`
	sample := func(values ...string) string {
		var all []string
		for _, v := range values {
			all = append(all, fmt.Sprintf(`{"metric":{"a":"b"},"value":[1767225600.1,%q]}`, v))
		}
		return fmt.Sprintf(vector, strings.Join(all, ","))
	}
	for name, c := range map[string]struct {
		code   int
		answer string
		must   string
		passes bool
		said   string
	}{
		"a number":                   {200, sample("0.001"), "< 0.01", true, "0.001, must be < 0.01"},
		"the bound itself":           {200, sample("0.01"), "< 0.01", false, "0.01, must be < 0.01"},
		"the bound may be reached":   {200, sample("0.01"), "<=0.01", true, "0.01, must be <=0.01"},
		"one of two does not":        {200, sample("0.001", "0.2"), "< 0.01", false, "0.2, must be < 0.01"},
		"a scalar":                   {200, `{"status":"success","data":{"resultType":"scalar","result":[1767225600,"3"]}}`, ">= 3", true, "3, must be >= 3"},
		"no number":                  {200, sample("NaN"), "!= 1", false, "NaN, must be != 1"},
		"a value that is none":       {200, sample("soon"), "!= 1", false, "NaN, must be != 1"},
		"nothing":                    {200, fmt.Sprintf(vector, ""), "< 1", false, "the query yields nothing"},
		"a history":                  {200, `{"status":"success","data":{"resultType":"matrix","result":[]}}`, "< 1", false, "ask URL: the query yields a matrix, and must yield a number, or a vector"},
		"a query that is none":       {400, `{"status":"error","errorType":"bad_data","error":"parse error:\n unexpected end"}`, "< 1", false, "ask URL: parse error: unexpected end"},
		"something else":             {502, `<html>bad gateway`, "< 1", false, "ask URL: no answer of a Prometheus: 502 Bad Gateway"},
		"a redirection":              {302, ``, "< 1", false, "ask URL: no answer of a Prometheus: 302 Found"},
		"a vector that is none":      {200, `{"status":"success","data":{"resultType":"vector","result":[{"value":[1]}]}}`, "< 1", false, "NaN, must be < 1"},
		"a must past the front door": {200, sample("1"), "about 3", false, `read "about 3": must begin with one of <= >= == != < >`},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/prom/api/v1/query" || r.URL.Query().Get("query") != `rate(errors{a="b"}[5m]) + 0` {
					t.Errorf("asked %s", r.URL)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.code)
				fmt.Fprint(w, c.answer)
			}))
			defer server.Close()
			client := server.Client()
			client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			passes, said, err := askMetric(context.Background(), client, v1alpha1.MetricGate{URL: server.URL + "/prom", Query: `rate(errors{a="b"}[5m]) + 0`, Must: c.must})
			if err != nil {
				said = strings.ReplaceAll(err.Error(), server.URL+"/prom", "URL")
			}
			if passes != c.passes || said != c.said {
				t.Errorf("passes %v: %q", passes, said)
			}
		})
	}
}

func TestAGateThatDoesNotAnswerDoesNotPass(t *testing.T) {
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-over:
		}
	}))
	defer server.Close()
	defer close(over)
	m := v1alpha1.MetricGate{URL: server.URL, Query: "up", Must: "== 1", Timeout: &metav1.Duration{Duration: 20 * time.Millisecond}}
	if passes, _, err := askMetric(context.Background(), server.Client(), m); passes || err == nil || !strings.Contains(err.Error(), "does not answer in 20ms") {
		t.Errorf("passes %v: %v", passes, err)
	}
	m.URL = "http://127.0.0.1:1"
	if passes, _, err := askMetric(context.Background(), server.Client(), m); passes || err == nil || !strings.HasPrefix(err.Error(), "ask http://127.0.0.1:1: ") && !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("passes %v: %v", passes, err)
	}
}
