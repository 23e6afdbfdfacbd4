package facts

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	// page is how many objects are looked at in one piece: the memory of a look is that of a page, however large the cluster.
	page = 200
	// perSecond bounds the requests, after the first few.
	perSecond, atOnce = 4, 6
	// leastRest and restShare: a look is followed by a rest of at least a minute, and of four times what the look took.
	leastRest, restShare = time.Minute, 4
	// patience is how long one request may take.
	patience = 30 * time.Second

	defaultClass = "storageclass.kubernetes.io/is-default-class"
	// boundPods are those that the scheduler counts: with a node, and not at their end.
	boundPods = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"
)

// Survey looks at a cluster, page by page and slowly. It keeps nothing of what it saw but sums.
type Survey struct {
	client kubernetes.Interface
	now    func() time.Time
}

// NewSurvey makes one that reaches the cluster by config.
func NewSurvey(config *rest.Config) (*Survey, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst, config.Timeout = perSecond, atOnce, patience
	config.RateLimiter = nil
	config.AcceptContentTypes, config.ContentType = "application/vnd.kubernetes.protobuf,application/json", "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("survey the cluster: %w", err)
	}
	return &Survey{client: client, now: time.Now}, nil
}

// Look looks once. What could not be seen stays as it was in last, with its age; the error says what that is.
func (s *Survey) Look(ctx context.Context, last Facts) (Facts, error) {
	found := last
	var failed []string
	note := func(what string, err error) {
		if err != nil {
			failed = append(failed, what+": "+err.Error())
		}
	}
	if v, err := s.client.Discovery().ServerVersion(); err != nil {
		note("version", err)
	} else {
		found.Kubernetes = &Kubernetes{Reading{At: s.now()}, cut(v.GitVersion)}
	}
	if c, err := s.storage(ctx); err != nil {
		note("storage classes", err)
	} else {
		found.Storage = c
	}
	if c, err := s.capacity(ctx); err != nil {
		note("capacity", err)
	} else {
		found.Capacity = c
	}
	if len(failed) > 0 {
		return found, fmt.Errorf("survey the cluster: %s", strings.Join(failed, "; "))
	}
	return found, nil
}

// Rest is how long to rest after a look that took so long.
func Rest(took time.Duration) time.Duration { return max(leastRest, restShare*took) }

func (s *Survey) storage(ctx context.Context) (*Storage, error) {
	list, err := s.client.StorageV1().StorageClasses().List(ctx, metav1.ListOptions{Limit: page})
	if err != nil {
		return nil, err
	}
	found := &Storage{Reading: Reading{At: s.now()}}
	for _, c := range list.Items {
		found.Classes = append(found.Classes, Class{cut(c.Name), cut(c.Provisioner), c.Annotations[defaultClass] == "true"})
	}
	slices.SortFunc(found.Classes, func(a, b Class) int { return strings.Compare(a.Name, b.Name) })
	found.Classes = found.Classes[:min(len(found.Classes), maxClasses)]
	return found, nil
}

func (s *Survey) capacity(ctx context.Context) (*Capacity, error) {
	found, taking := &Capacity{}, map[string]bool{}
	err := pages(metav1.ListOptions{}, func(opts metav1.ListOptions) (string, error) {
		list, err := s.client.CoreV1().Nodes().List(ctx, opts)
		if err != nil {
			return "", err
		}
		for i := range list.Items {
			if n := &list.Items[i]; found.addNode(n) {
				taking[n.Name] = true
			}
		}
		return list.Continue, nil
	})
	if err != nil {
		return nil, err
	}
	err = pages(metav1.ListOptions{FieldSelector: boundPods}, func(opts metav1.ListOptions) (string, error) {
		list, err := s.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, opts)
		if err != nil {
			return "", err
		}
		for i := range list.Items {
			found.addPod(&list.Items[i].Spec, taking)
		}
		return list.Continue, nil
	})
	found.At = s.now()
	return found, err
}

// pages calls list until there is no more. A list that expired in between fails: the next look begins anew.
func pages(opts metav1.ListOptions, list func(metav1.ListOptions) (next string, err error)) (err error) {
	opts.Limit = page
	for first := true; err == nil && (first || opts.Continue != ""); first = false {
		opts.Continue, err = list(opts)
	}
	return err
}

// addPod counts a pod, and what it asks for if it is on a node that counts: during a drain the others hold more than there is.
func (c *Capacity) addPod(p *corev1.PodSpec, taking map[string]bool) {
	c.Pods++
	if taking[p.NodeName] {
		c.Asked.add(askedBy(p))
	}
}

// addNode counts a node, and what it has if pods can go there, which it returns.
func (c *Capacity) addNode(n *corev1.Node) (taking bool) {
	c.Nodes++
	ready := slices.ContainsFunc(n.Status.Conditions, func(k corev1.NodeCondition) bool {
		return k.Type == corev1.NodeReady && k.Status == corev1.ConditionTrue
	})
	if taking = ready && !n.Spec.Unschedulable; taking {
		c.ReadyNodes++
		c.Has.add(amountOf(n.Status.Allocatable))
	}
	return taking
}

// askedBy is what the scheduler counts for a pod: its containers and those that run beside them, or what one of its first steps
// needs while these run, if that is more; or what is said of the pod as a whole; and its overhead.
func askedBy(p *corev1.PodSpec) Amount {
	var all, beside, peak Amount
	for _, c := range p.InitContainers {
		asks := amountOf(c.Resources.Requests)
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			beside.add(asks)
			asks = Amount{}
		}
		asks.add(beside)
		peak = peak.most(asks)
	}
	for _, c := range p.Containers {
		all.add(amountOf(c.Resources.Requests))
	}
	all.add(beside)
	all = all.most(peak)
	if p.Resources != nil {
		if cpu, said := p.Resources.Requests[corev1.ResourceCPU]; said {
			all.CPU = cpu.MilliValue()
		}
		if memory, said := p.Resources.Requests[corev1.ResourceMemory]; said {
			all.Memory = memory.Value()
		}
	}
	all.add(amountOf(p.Overhead))
	return all
}

func amountOf(l corev1.ResourceList) Amount {
	return Amount{CPU: l.Cpu().MilliValue(), Memory: l.Memory().Value()}
}
