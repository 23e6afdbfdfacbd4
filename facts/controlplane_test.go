package facts

import (
	"net/http"
	"net/http/httptest"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

func TestAControlPlaneIsHealthyWhileItsAPIServerIsReady(t *testing.T) {
	const dead = 0
	for name, c := range map[string]struct {
		answers []int
		status  metav1.ConditionStatus
		reason  string
	}{
		"ready":                               {[]int{200}, metav1.ConditionTrue, ReasonReady},
		"not ready":                           {[]int{500, 500}, metav1.ConditionFalse, ReasonNotReady},
		"dead":                                {[]int{200, dead, dead}, metav1.ConditionFalse, ReasonNoAnswer},
		"dead behind a load balancer":         {[]int{200, 503, 503}, metav1.ConditionFalse, ReasonNotReady},
		"dead since the member started":       {[]int{dead, dead}, metav1.ConditionFalse, ReasonNoAnswer},
		"back":                                {[]int{dead, dead, 200}, metav1.ConditionTrue, ReasonReady},
		"started anew":                        {[]int{200, dead, 200, dead}, metav1.ConditionTrue, ReasonReady},
		"not heard yet":                       {[]int{dead}, "", ""},
		"not to be asked":                     {[]int{403}, metav1.ConditionUnknown, ReasonRefused},
		"a member that it does not know more": {[]int{200, 401}, metav1.ConditionUnknown, ReasonRefused},
	} {
		var p ControlPlane
		got := &Condition{}
		for _, code := range c.answers {
			if said := p.Ask(t.Context(), answering(t, code)); said != nil {
				got = said
			}
		}
		if got.Status != c.status || got.Reason != c.reason {
			t.Errorf("%s: %+v", name, got)
		}
		if got.Status != "" && (!got.wellFormed() || got.At.IsZero() || got.Message == "") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// answering is a way to a kube-apiserver that answers with this code, or to none if that is 0.
func answering(t *testing.T, code int) rest.Interface {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("asked for %s", r.URL)
		}
		w.WriteHeader(code)
	}))
	if code == 0 {
		s.Close()
	} else {
		t.Cleanup(s.Close)
	}
	return discovery.NewDiscoveryClientForConfigOrDie(&rest.Config{Host: s.URL}).RESTClient()
}
