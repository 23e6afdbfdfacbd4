package v1alpha1

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// How often a gate is asked that does not say, and for how long its answer is waited for.
const (
	DefaultGateEvery   = 30 * time.Second
	DefaultGateTimeout = 5 * time.Second
	MinGateEvery       = 5 * time.Second
	MaxGateTimeout     = 30 * time.Second
)

// Bounds of gates.
const (
	maxGates     = 16
	maxGateURL   = 1024
	maxGateQuery = 4096
	// as Kubernetes bounds names, and types of conditions
	maxGateName      = 253
	maxConditionType = 316
)

// RolloutGate is what must hold, beside the health of the clusters, for a wave to count as healthy: from when all its clusters run the change
// until it has soaked. What does not within the progress deadline stops the rollout.
type RolloutGate struct {
	// name of the gate, for people. No two gates of a bundle have one.
	Name string `json:"name"`
	// metric is what a query of a Prometheus must yield.
	// +optional
	Metric *MetricGate `json:"metric,omitempty"`
	// object, instead of a metric, is one in each cluster that changes, of the bundle or not. The member of the cluster reads it.
	// +optional
	Object *ObjectRef `json:"object,omitempty"`
	// condition is what the object must have.
	// +optional
	Condition *GateCondition `json:"condition,omitempty"`
}

// GateCondition is a condition that the status of an object must have.
type GateCondition struct {
	// type of the condition: Complete.
	Type string `json:"type"`
	// status that it must have: True, False or Unknown. Left out: True.
	// +optional
	Status metav1.ConditionStatus `json:"status,omitempty"`
}

// Wanted is the status that the condition must have.
func (c GateCondition) Wanted() metav1.ConditionStatus { return cmp.Or(c.Status, metav1.ConditionTrue) }

// AsksObject says that the gate is about an object in the clusters.
func (g RolloutGate) AsksObject() bool { return g.Object != nil && g.Condition != nil }

// MetricGate is a query of a Prometheus. The leader asks, from its cluster; without an answer the gate does not pass.
type MetricGate struct {
	// url of the Prometheus, http or https: http://prometheus.monitoring:9090. It is in the log, for everybody to read: no credentials.
	URL string `json:"url"`
	// query (PromQL) that yields a number, or some of which each must pass. One that yields none does not pass.
	Query string `json:"query"`
	// must is what holds for the number: "< 0.01". One of <, <=, >, >=, == and !=, and a number.
	Must string `json:"must"`
	// every is how often it is asked: 30s, and 5s at least.
	// +optional
	Every *metav1.Duration `json:"every,omitempty"`
	// timeout is for how long an answer is waited for: 5s, and 30s at most.
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`
}

// GateStatus is what a gate said last.
type GateStatus struct {
	// name of the gate.
	Name string `json:"name"`
	// asked is when; of an object, since when it says so.
	Asked metav1.Time `json:"asked"`
	// passes says that what it must be is so.
	Passes bool `json:"passes"`
	// message is what it said, or why it said nothing.
	// +optional
	Message string `json:"message,omitempty"`
}

// WorkGate is what an object of a gate says in a cluster.
type WorkGate struct {
	// name of the gate.
	Name string `json:"name"`
	// passes says that the object has the condition.
	Passes bool `json:"passes"`
	// message is what the object says, or why it says nothing.
	// +optional
	Message string `json:"message,omitempty"`
}

// Pace is how often the gate is asked and for how long its answer is waited for, within their bounds, whoever wrote the bundle.
func (m MetricGate) Pace() (every, timeout time.Duration) {
	every, timeout = DefaultGateEvery, DefaultGateTimeout
	if m.Every != nil {
		every = min(max(m.Every.Duration, MinGateEvery), time.Hour)
	}
	if m.Timeout != nil && m.Timeout.Duration > 0 {
		timeout = min(m.Timeout.Duration, MaxGateTimeout)
	}
	return every, timeout
}

// longest first, as one begins with another
var comparisons = []string{"<=", ">=", "==", "!=", "<", ">"}

// Holds says whether a number is what the gate says it must be. No number is.
func (m MetricGate) Holds(number float64) (bool, error) {
	i := slices.IndexFunc(comparisons, func(c string) bool { return strings.HasPrefix(m.Must, c) })
	if i < 0 {
		return false, fmt.Errorf("read %q: must begin with one of %s", m.Must, strings.Join(comparisons, " "))
	}
	than, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimPrefix(m.Must, comparisons[i])), 64)
	if err != nil || math.IsNaN(than) {
		return false, fmt.Errorf("read %q: must end with a number", m.Must)
	}
	if math.IsNaN(number) {
		return false, nil
	}
	return []bool{number <= than, number >= than, number == than, number != than, number < than, number > than}[i], nil
}

// validateGates checks gates; names are those that gates of the bundle have already.
func validateGates(at *field.Path, gates []RolloutGate, names map[string]bool) (errs field.ErrorList) {
	if len(gates) > maxGates {
		return field.ErrorList{field.TooMany(at, len(gates), maxGates)}
	}
	for i, g := range gates {
		at := at.Index(i)
		errs = append(errs, validateLabelName(at.Child("name"), g.Name)...)
		if names[g.Name] {
			errs = append(errs, field.Duplicate(at.Child("name"), g.Name))
		}
		names[g.Name] = true
		errs = append(errs, validateGate(at, g)...)
	}
	return errs
}

func validateGate(at *field.Path, g RolloutGate) (errs field.ErrorList) {
	switch {
	case g.Metric == nil && g.Object == nil:
		return field.ErrorList{field.Required(at, "must say what is asked: a metric, or an object and its condition")}
	case g.Metric != nil && (g.Object != nil || g.Condition != nil):
		return field.ErrorList{field.Forbidden(at.Child("metric"), "one gate asks a metric or an object; make two gates of it")}
	case g.Metric != nil:
		return validateMetric(at.Child("metric"), *g.Metric)
	case g.Condition == nil:
		errs = field.ErrorList{field.Required(at.Child("condition"), "must say what the object must have")}
	default:
		errs = validateGateCondition(at.Child("condition"), *g.Condition)
	}
	return append(errs, validateGateObject(at.Child("object"), *g.Object)...)
}

func validateGateObject(at *field.Path, o ObjectRef) (errs field.ErrorList) {
	if gv, err := schema.ParseGroupVersion(o.APIVersion); err != nil || gv.Version == "" || len(o.APIVersion) > maxGateName {
		errs = append(errs, field.Invalid(at.Child("apiVersion"), o.APIVersion, "must be as batch/v1, or v1"))
	}
	for _, part := range []struct{ child, value string }{{"kind", o.Kind}, {"name", o.Name}} {
		if part.value == "" {
			errs = append(errs, field.Required(at.Child(part.child), "must say which object"))
		}
	}
	for _, part := range []struct{ child, value string }{{"kind", o.Kind}, {"name", o.Name}, {"namespace", o.Namespace}} {
		if why := content.IsPathSegmentName(part.value); part.value != "" && (len(why) > 0 || len(part.value) > maxGateName) {
			errs = append(errs, field.Invalid(at.Child(part.child), part.value, fmt.Sprintf("must be a name of at most %d bytes, without / and %%", maxGateName)))
		}
	}
	return errs
}

func validateGateCondition(at *field.Path, c GateCondition) (errs field.ErrorList) {
	if c.Type == "" || len(c.Type) > maxConditionType || strings.ContainsFunc(c.Type, unfit) {
		errs = append(errs, field.Invalid(at.Child("type"), c.Type, fmt.Sprintf("must be the type of a condition, as Complete, of at most %d bytes", maxConditionType)))
	}
	if c.Status != "" {
		errs = append(errs, validateEnum(at.Child("status"), c.Status, metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown)...)
	}
	return errs
}

func validateMetric(at *field.Path, m MetricGate) (errs field.ErrorList) {
	u, err := url.Parse(m.URL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(m.URL) > maxGateURL:
		errs = append(errs, field.Invalid(at.Child("url"), m.URL, "must be as http://prometheus.monitoring:9090"))
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		errs = append(errs, field.Invalid(at.Child("url"), u.Redacted(), "must have no credentials, query or fragment: everybody can read it"))
	}
	if m.Query == "" || len(m.Query) > maxGateQuery {
		errs = append(errs, field.Invalid(at.Child("query"), m.Query, fmt.Sprintf("must be 1 to %d bytes", maxGateQuery)))
	}
	if _, err := m.Holds(0); err != nil {
		errs = append(errs, field.Invalid(at.Child("must"), m.Must, "must be a comparison and a number, as < 0.01"))
	}
	if m.Every != nil && (m.Every.Duration < MinGateEvery || m.Every.Duration > time.Hour) {
		errs = append(errs, field.Invalid(at.Child("every"), m.Every.Duration.String(), fmt.Sprintf("must be from %s to 1h", MinGateEvery)))
	}
	if m.Timeout != nil && (m.Timeout.Duration <= 0 || m.Timeout.Duration > MaxGateTimeout) {
		errs = append(errs, field.Invalid(at.Child("timeout"), m.Timeout.Duration.String(), fmt.Sprintf("must be above 0s, and %s at most", MaxGateTimeout)))
	}
	return errs
}
