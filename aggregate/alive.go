package aggregate

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// DefaultLife is for how long, at most, an APIService outlives its member.
const DefaultLife = 5 * time.Minute

// LastWords is for how long, at most, an APIService outlives a member that was stopped in order. One that comes back sooner
// finds it as it was.
const LastWords = 30 * time.Second

// partTime is for how long a stop waits for the cluster, which may be away.
const partTime = 2 * time.Second

// renewals is how many times a life is renewed before it would end.
const renewals = 3

// aliveName is of the Service that lives as long as the member, and begins the names of the Jobs that say how long that is.
const aliveName = "hanse-alive"

var (
	jobs        = batchv1.SchemeGroupVersion.WithResource("jobs")
	ipAddresses = networkingv1.SchemeGroupVersion.WithResource("ipaddresses")
)

// errAsleep means that somebody keeps a life from beginning, a queue for Jobs perhaps, so that it never ends.
var errAsleep = errors.New("its deadline does not run: leave Jobs in the namespace " + Namespace + " to themselves")

// life is what ends when nobody renews it, and with it, link by link, the APIService:
//
//	Job hanse-alive-x1y2z      without pods; fails at its deadline and is then deleted   the Job and TTL controllers
//	└ owns Service hanse-alive                                                           the garbage collector
//	  └ has IPAddress 10.96.…  which comes and goes with its Service                     kube-apiserver
//	    └ owns the APIService                                                            the garbage collector
//
// The detour is because what has a namespace cannot own what has none. The next Job takes the Service over before it is
// taken from the one before, and the collector looks at the owners as they are before it deletes: so the member may be late
// by two thirds of a life.
type life struct {
	job   metav1.OwnerReference
	since time.Time
	// doubted says that the one before never began to run.
	doubted bool
}

// due says whether a life of such a span must be begun anew; job is what is found of it, nil when it is gone.
func (l life) due(now time.Time, job *unstructured.Unstructured, span time.Duration) bool {
	return job == nil || job.GetUID() != l.job.UID || job.GetDeletionTimestamp() != nil || now.Sub(l.since) >= span/renewals
}

// asleep says that a life never ends, since it never begins: its Job is suspended, or a good while old and the job controller has not
// taken it up.
func (l life) asleep(now time.Time, job *unstructured.Unstructured, span time.Duration) error {
	suspended, _, _ := unstructured.NestedBool(job.Object, "spec", "suspend")
	begun, _, _ := unstructured.NestedString(job.Object, "status", "startTime")
	if suspended || begun == "" && (l.doubted || now.Sub(l.since) >= span/renewals) {
		return fmt.Errorf("job %s: %w", job.GetName(), errAsleep)
	}
	return nil
}

// last is the deadline of a life that is to end soon; 0 when it does anyway.
func (l life) last(now time.Time, span time.Duration) (seconds int64) {
	if ends := now.Sub(l.since) + LastWords; ends < span {
		return whole(ends)
	}
	return 0
}

// alive renews the member's life when that is due, and returns what is to own the APIService.
func (a *Aggregation) alive(ctx context.Context) (owner metav1.OwnerReference, err error) {
	due, sleeps, err := a.due(ctx)
	if err != nil {
		return owner, err
	}
	var before []metav1.OwnerReference
	if due {
		if before, err = a.renew(ctx, sleeps != nil); err != nil {
			return owner, err
		}
	}
	beats := heart(a.config.owner(), a.life.job)
	service, err := a.ensure(ctx, beats)
	if err != nil {
		return owner, &objectError{beats, err}
	}
	if err := endLives(ctx, a.client, before); err != nil {
		return owner, err
	}
	if sleeps != nil {
		return owner, sleeps
	}
	return a.address(ctx, service)
}

// due says whether the life must be begun anew, and whether it would ever end.
func (a *Aggregation) due(ctx context.Context) (due bool, sleeps, err error) {
	if a.life.job.UID == "" {
		return true, nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	job, err := a.client.Resource(jobs).Namespace(Namespace).Get(ctx, a.life.job.Name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return false, nil, fmt.Errorf("read job %s: %w", a.life.job.Name, err)
	}
	if err != nil {
		job = nil
	} else {
		sleeps = a.life.asleep(time.Now(), job, a.config.life())
	}
	return a.life.due(time.Now(), job, a.config.life()), sleeps, nil
}

// renew begins another life. It returns the owners of the Service, which are not its owners any more once it is of this life.
func (a *Aggregation) renew(ctx context.Context, doubted bool) (before []metav1.OwnerReference, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	service, err := a.client.Resource(services).Namespace(Namespace).Get(ctx, aliveName, metav1.GetOptions{})
	switch {
	case err == nil:
		before = service.GetOwnerReferences()
	case !apierrors.IsNotFound(err):
		return nil, fmt.Errorf("read service %s: %w", aliveName, err)
	}
	began := time.Now()
	job, err := a.client.Resource(jobs).Namespace(Namespace).Create(ctx, lifetime(a.config.owner(), a.config.life()).wanted, metav1.CreateOptions{FieldManager: manager})
	if err != nil {
		return nil, fmt.Errorf("create a job: %w", err)
	}
	a.life = life{job: refTo(job), since: began, doubted: doubted}
	return before, nil
}

// part lets the member's life end soon: it has been stopped. That is in vain when the cluster is away, and then its life
// ends later.
func (a *Aggregation) part() {
	seconds := a.life.last(time.Now(), a.config.life())
	if a.life.job.UID == "" || seconds == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), partTime)
	defer cancel()
	sooner := fmt.Appendf(nil, `{"metadata":{"uid":%q},"spec":{"activeDeadlineSeconds":%d}}`, a.life.job.UID, seconds)
	_, err := a.client.Resource(jobs).Namespace(Namespace).Patch(ctx, a.life.job.Name, types.MergePatchType, sooner, metav1.PatchOptions{FieldManager: manager})
	if err != nil && !apierrors.IsNotFound(err) {
		a.config.Logger.Warn("the fleet's API stays in this cluster for longer", "at_most", a.config.life(), "err", err)
	}
}

// address finds what has no namespace, and goes with the Service.
func (a *Aggregation) address(ctx context.Context, service *unstructured.Unstructured) (owner metav1.OwnerReference, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	text, _, _ := unstructured.NestedString(service.Object, "spec", "clusterIP")
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return owner, fmt.Errorf("service %s has no address: %w", aliveName, err)
	}
	address, err := a.client.Resource(ipAddresses).Get(ctx, ip.String(), metav1.GetOptions{})
	if err != nil {
		return owner, fmt.Errorf("read ipaddress %s: %w", ip, err)
	}
	return refTo(address), nil
}

// endLives deletes the Jobs among the owners of a Service that is another's now, or gone.
func endLives(ctx context.Context, client dynamic.Interface, owners []metav1.OwnerReference) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	background := metav1.DeletePropagationBackground
	for _, o := range owners {
		if o.Kind != "Job" {
			continue
		}
		err := client.Resource(jobs).Namespace(Namespace).Delete(ctx, o.Name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &o.UID}, PropagationPolicy: &background,
		})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("delete job %s: %w", o.Name, err)
		}
	}
	return nil
}

// lifetime is a Job that nobody works at and that ends after so long. No image is ever pulled: it has no pod.
func lifetime(owner string, span time.Duration) object {
	none, seconds := int32(0), whole(span)
	o := newObject(jobs, owner, &batchv1.Job{
		TypeMeta:   metav1.TypeMeta{APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "Job"},
		ObjectMeta: metav1.ObjectMeta{GenerateName: aliveName + "-", Namespace: Namespace},
		Spec: batchv1.JobSpec{
			Parallelism: &none, ActiveDeadlineSeconds: &seconds, TTLSecondsAfterFinished: &none,
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "none", Image: "none.invalid/none"}},
			}},
		},
	})
	explain(o, "Runs nothing. Hanse's member renews it; when it fails, the member is dead and its API is taken out of the cluster.")
	return o
}

// heart is the Service that a life owns. It leads nowhere: what counts is that it has an address.
func heart(owner string, job metav1.OwnerReference) object {
	o := newObject(services, owner, &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: aliveName, Namespace: Namespace, OwnerReferences: []metav1.OwnerReference{job}},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Ports: []corev1.ServicePort{{Name: "none", Protocol: corev1.ProtocolTCP, Port: 1}}},
	})
	explain(o, "Leads nowhere. It is there while hanse's member is alive, and owns, by its address, the APIService.")
	return o
}

// whole is a time in seconds, rounded up.
func whole(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// explain says to people who find it what an object is for.
func explain(o object, words string) {
	annotations := o.wanted.GetAnnotations()
	annotations["kubernetes.io/description"] = words
	o.wanted.SetAnnotations(annotations)
}

func refTo(o *unstructured.Unstructured) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: o.GetAPIVersion(), Kind: o.GetKind(), Name: o.GetName(), UID: o.GetUID()}
}
