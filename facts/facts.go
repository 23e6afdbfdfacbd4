package facts

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Bounds of what is told, and of what is believed of others.
const (
	maxEncoded = 16 << 10
	maxClasses = 32
	// maxTrips is about how many neighbours a member has at most: it may be the source of so many.
	maxTrips = 160
	maxText  = 253
)

// Reading is when something was found out. What travels is its age, so that no two clocks are compared.
type Reading struct {
	At  time.Time `json:"-"`
	Age int64     `json:"age"` // milliseconds, when it was told
}

// Facts are what one member knows. A reading that was never taken is nil.
//
// Encoded they are JSON, of at most 16 KiB; testdata/facts.json is version 1.
type Facts struct {
	Kubernetes *Kubernetes `json:"kubernetes,omitempty"`
	Capacity   *Capacity   `json:"capacity,omitempty"`
	Storage    *Storage    `json:"storage,omitempty"`
	Processor  *Processor  `json:"processor,omitempty"`
	Disk       *Disk       `json:"disk,omitempty"`
	// Aggregated is whether the fleet's API is in the cluster's own, and ControlPlane whether the cluster's is healthy.
	Aggregated   *Condition `json:"aggregated,omitempty"`
	ControlPlane *Condition `json:"controlPlane,omitempty"`
	Trips        []Trip     `json:"trips,omitempty"`
}

// Kubernetes is the version of the cluster's kube-apiserver.
type Kubernetes struct {
	Reading
	Version string `json:"version"`
}

// Capacity is of all nodes, and of the pods that are bound to one and have not ended. What there is and what is asked for
// are of the same nodes. CPU is in thousandths of a core, memory in bytes.
type Capacity struct {
	Reading
	Nodes      int32  `json:"nodes"`
	ReadyNodes int32  `json:"ready"`
	Pods       int32  `json:"pods"`
	Has        Amount `json:"has"`   // of the nodes that are ready and take pods
	Asked      Amount `json:"asked"` // by the pods on them
}

// Amount of what pods take.
type Amount struct {
	CPU    int64 `json:"cpu"`
	Memory int64 `json:"memory"`
}

func (a *Amount) add(b Amount) { a.CPU, a.Memory = a.CPU+b.CPU, a.Memory+b.Memory }

func (a Amount) most(b Amount) Amount { return Amount{max(a.CPU, b.CPU), max(a.Memory, b.Memory)} }

// Storage is the cluster's storage classes, by name.
type Storage struct {
	Reading
	Classes []Class `json:"classes"`
}

// Class is a storage class.
type Class struct {
	Name        string `json:"name"`
	Provisioner string `json:"provisioner"`
	Default     bool   `json:"default,omitempty"`
}

// Processor is of the machine that the member runs on. Speed is in percent of the reference.
type Processor struct {
	Reading
	Model string `json:"model"`
	Cores int32  `json:"cores"`
	Speed int32  `json:"speed"`
}

// Disk is how long the member's log takes to be durable, in milliseconds.
type Disk struct {
	Reading
	FsyncP999 float64 `json:"fsyncP999"`
}

// Condition is what a member says of its cluster, in the words of a condition.
type Condition struct {
	Reading
	Status  metav1.ConditionStatus `json:"status"`
	Reason  string                 `json:"reason"`
	Message string                 `json:"message"`
}

// wellFormed: nobody else checks what becomes a condition.
func (c *Condition) wellFormed() bool {
	known := c.Status == metav1.ConditionTrue || c.Status == metav1.ConditionFalse || c.Status == metav1.ConditionUnknown
	return known && reasonForm.MatchString(c.Reason)
}

// reasonForm is what metav1.Condition takes for a reason, without its rarer signs.
var reasonForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)

// NewCondition cuts a message that is too long to be told.
func NewCondition(at time.Time, status metav1.ConditionStatus, reason, message string) *Condition {
	if len(message) > maxText {
		message = strings.ToValidUTF8(message[:maxText-3], "") + "..."
	}
	return &Condition{Reading: Reading{At: at}, Status: status, Reason: reason, Message: message}
}

// Trip is the round trip to a member that this one has a connection with, in milliseconds.
type Trip struct {
	Reading
	Peer  string  `json:"peer"` // its incarnation
	Least float64 `json:"least"`
	P99   float64 `json:"p99"`
}

// each calls do with every reading that is there.
func (f *Facts) each(do func(*Reading)) {
	if f.Kubernetes != nil {
		do(&f.Kubernetes.Reading)
	}
	if f.Capacity != nil {
		do(&f.Capacity.Reading)
	}
	if f.Storage != nil {
		do(&f.Storage.Reading)
	}
	if f.Processor != nil {
		do(&f.Processor.Reading)
	}
	if f.Disk != nil {
		do(&f.Disk.Reading)
	}
	for _, c := range f.conditions() {
		do(&c.Reading)
	}
	for i := range f.Trips {
		do(&f.Trips[i].Reading)
	}
}

// conditions are those that are there.
func (f *Facts) conditions() []*Condition {
	return slices.DeleteFunc([]*Condition{f.Aggregated, f.ControlPlane}, func(c *Condition) bool { return c == nil })
}

// Encode is what is told of the facts now.
func (f Facts) Encode(now time.Time) ([]byte, error) {
	f.each(func(r *Reading) { r.Age = max(0, now.Sub(r.At).Milliseconds()) })
	data, err := json.Marshal(f)
	if err == nil && len(data) > maxEncoded {
		err = fmt.Errorf("%d bytes are over the limit of %d", len(data), maxEncoded)
	}
	if err != nil {
		return nil, fmt.Errorf("encode facts: %w", err)
	}
	return data, nil
}

// Decode reads what a member told at a time. What no member tells is refused.
func Decode(data []byte, told time.Time) (f Facts, err error) {
	if len(data) > maxEncoded {
		return f, fmt.Errorf("read facts: %d bytes are over the limit of %d", len(data), maxEncoded)
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return Facts{}, fmt.Errorf("read facts: %w", err)
	}
	if err := f.check(); err != nil {
		return Facts{}, fmt.Errorf("read facts: %w", err)
	}
	f.each(func(r *Reading) { r.At = told.Add(-time.Duration(r.Age) * time.Millisecond) })
	return f, nil
}

// check holds facts to their bounds.
func (f *Facts) check() error {
	texts, numbers := f.values()
	f.each(func(r *Reading) { numbers = append(numbers, float64(r.Age)) })
	for _, text := range texts {
		if len(text) > maxText {
			return fmt.Errorf("a text of %d bytes", len(text))
		}
	}
	for _, n := range numbers {
		if !(n >= 0 && n <= math.MaxInt64/4/float64(time.Millisecond)) {
			return fmt.Errorf("%v is no measure", n)
		}
	}
	if c := f.Capacity; c != nil && min(c.Has.CPU, c.Has.Memory, c.Asked.CPU, c.Asked.Memory) < 0 {
		return errors.New("less than no processor or memory")
	}
	for _, c := range f.conditions() {
		if !c.wellFormed() {
			return fmt.Errorf("%q and %q make no condition", c.Status, c.Reason)
		}
	}
	if f.Storage != nil && len(f.Storage.Classes) > maxClasses || len(f.Trips) > maxTrips {
		return fmt.Errorf("more than %d storage classes, or %d neighbours", maxClasses, maxTrips)
	}
	return nil
}

// values are all texts and durations in milliseconds, or counts.
func (f *Facts) values() (texts []string, numbers []float64) {
	if f.Kubernetes != nil {
		texts = append(texts, f.Kubernetes.Version)
	}
	if c := f.Capacity; c != nil {
		numbers = append(numbers, float64(c.Nodes), float64(c.ReadyNodes), float64(c.Pods))
	}
	if f.Storage != nil {
		for _, c := range f.Storage.Classes {
			texts = append(texts, c.Name, c.Provisioner)
		}
	}
	if p := f.Processor; p != nil {
		texts, numbers = append(texts, p.Model), append(numbers, float64(p.Cores), float64(p.Speed))
	}
	if f.Disk != nil {
		numbers = append(numbers, f.Disk.FsyncP999)
	}
	for _, c := range f.conditions() {
		texts = append(texts, string(c.Status), c.Reason, c.Message)
	}
	for _, t := range f.Trips {
		texts, numbers = append(texts, t.Peer), append(numbers, t.Least, t.P99)
	}
	return texts, numbers
}

// Differ says whether there is enough between two states to tell of the newer at once: something else than a measure, or a
// measure by more than a quarter. Ages are no difference.
func Differ(a, b Facts) bool {
	return a.shape() != b.shape() || !closeTo(a.measures(), b.measures())
}

// shape is all of the facts that is no measure.
func (f Facts) shape() string {
	texts, _ := f.values()
	counts := []int32{}
	if c := f.Capacity; c != nil {
		counts = append(counts, c.Nodes, c.ReadyNodes)
	}
	var classes []Class
	if f.Storage != nil {
		classes = f.Storage.Classes
	}
	return fmt.Sprintf("%q %v %v %v", texts, counts, classes, f.Processor != nil)
}

func (f Facts) measures() (all []float64) {
	if c := f.Capacity; c != nil {
		all = append(all, float64(c.Has.CPU), float64(c.Has.Memory), float64(c.Asked.CPU), float64(c.Asked.Memory), float64(c.Pods))
	}
	if f.Disk != nil {
		all = append(all, f.Disk.FsyncP999)
	}
	for _, t := range f.Trips {
		all = append(all, t.Least)
	}
	return all
}

func closeTo(a, b []float64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if math.Abs(a[i]-b[i]) > max(a[i], b[i])/4 {
			return false
		}
	}
	return true
}
