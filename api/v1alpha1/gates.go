package v1alpha1

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
)

// RolloutGate is what must hold, beside the health of the clusters, for a wave to count as healthy: from when all its clusters run the change
// until it has soaked. What does not within the progress deadline stops the rollout.
type RolloutGate struct {
	// name of the gate, for people. No two gates of a bundle have one.
	Name string `json:"name"`
	// metric is what a query of a Prometheus must yield.
	Metric *MetricGate `json:"metric,omitempty"`
}

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
	// asked is when.
	Asked metav1.Time `json:"asked"`
	// passes says that what it must be is so.
	Passes bool `json:"passes"`
	// message is what it said, or why it said nothing.
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
		if g.Metric == nil {
			errs = append(errs, field.Required(at.Child("metric"), "must say what is asked"))
			continue
		}
		errs = append(errs, validateMetric(at.Child("metric"), *g.Metric)...)
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
