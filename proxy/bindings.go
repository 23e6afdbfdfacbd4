package proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	rbacclient "k8s.io/client-go/kubernetes/typed/rbac/v1"
	"k8s.io/client-go/rest"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/internal/pause"
	"github.com/hanse-fleet/hanse/internal/trouble"
)

const (
	keepPause = 30 * time.Second
	keepRetry = 5 * time.Second
	keepLeast = time.Second
	// requestTimeout bounds one question to the cluster.
	requestTimeout = 10 * time.Second
)

const (
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedByHanse = "hanse"
)

// given is what each role of the fleet may do in every cluster, unless the cluster says otherwise.
var given = map[v1alpha1.Role]string{v1alpha1.RoleViewer: "view", v1alpha1.RoleOperator: "edit", v1alpha1.RoleAdmin: "cluster-admin"}

// binding gives a role of the fleet what it may do in the cluster, and is marked as its member's.
func binding(fleet, cluster string, role v1alpha1.Role) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{
			Name:        v1alpha1.ClusterGroup(fleet, role),
			Labels:      map[string]string{labelManagedBy: managedByHanse},
			Annotations: map[string]string{v1alpha1.AnnotationRegisteredBy: fleet + "/" + cluster, rbacv1.AutoUpdateAnnotationKey: "true"},
		},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: given[role]},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: v1alpha1.ClusterGroup(fleet, role)}},
	}
}

// errForeign means that a binding of one of our names is somebody else's.
var errForeign = errors.New("it is not this member's and is left alone")

// act is what is to be done about a binding.
type act int

const (
	leaveIt act = iota
	createIt
	updateIt
	replaceIt // what a binding refers to cannot be changed
)

// decide says what is to be done when found, nil if there is none, is there in place of wanted.
func decide(found, wanted *rbacv1.ClusterRoleBinding) (act, error) {
	switch {
	case found == nil:
		return createIt, nil
	case found.Annotations[rbacv1.AutoUpdateAnnotationKey] == "false":
		return leaveIt, nil // the cluster's own admins have said so
	case found.Annotations[v1alpha1.AnnotationRegisteredBy] != wanted.Annotations[v1alpha1.AnnotationRegisteredBy]:
		return leaveIt, errForeign
	case found.RoleRef != wanted.RoleRef:
		return replaceIt, nil
	case !equality.Semantic.DeepEqual(found.Subjects, wanted.Subjects):
		return updateIt, nil
	}
	return leaveIt, nil
}

// Run keeps the bindings as they should be until ctx ends.
func (p *Proxy) Run(ctx context.Context) error {
	client, err := rbacclient.NewForConfig(p.config.REST)
	if err != nil {
		return fmt.Errorf("bind the fleet's roles in the cluster: %w", err)
	}
	var stuck trouble.Trouble
	for {
		err, wait := p.bind(ctx, client.ClusterRoleBindings()), keepPause
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, errForeign) {
			wait = keepRetry
		}
		stuck.Tell(p.config.Logger, "not all roles of the fleet may do in this cluster what they should", err)
		if !untilChanged(ctx, client.ClusterRoleBindings(), wait) {
			return nil
		}
	}
}

// untilChanged waits, less when a binding of ours is changed meanwhile, and says whether ctx is still alive. What changes before
// the watch has begun is seen after the wait.
func untilChanged(ctx context.Context, client rbacclient.ClusterRoleBindingInterface, wait time.Duration) bool {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	w, err := client.Watch(waiting, metav1.ListOptions{LabelSelector: labelManagedBy + "=" + managedByHanse})
	if err != nil {
		return pause.For(ctx, wait)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		if e.Type == watch.Modified || e.Type == watch.Deleted {
			return pause.For(ctx, keepLeast) // somebody may change it again and again
		}
	}
	<-waiting.Done() // a watch may end at any time
	return ctx.Err() == nil
}

// bind makes one round. One that fails is no reason to leave out the others.
func (p *Proxy) bind(ctx context.Context, client rbacclient.ClusterRoleBindingInterface) error {
	var errs []error
	for _, role := range slices.Sorted(maps.Keys(given)) { // in order, so that the same failure has the same words
		wanted := binding(p.config.Fleet, p.config.Cluster, role)
		if err := ensure(ctx, client, wanted); err != nil {
			errs = append(errs, fmt.Errorf("clusterrolebinding %s: %w", wanted.Name, err))
		}
	}
	return errors.Join(errs...)
}

func ensure(ctx context.Context, client rbacclient.ClusterRoleBindingInterface, wanted *rbacv1.ClusterRoleBinding) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	found, err := client.Get(ctx, wanted.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		found, err = nil, nil
	}
	if err != nil {
		return err
	}
	what, err := decide(found, wanted)
	switch what {
	case updateIt:
		changed := found.DeepCopy()
		changed.Subjects = wanted.Subjects
		_, err = client.Update(ctx, changed, metav1.UpdateOptions{})
	case replaceIt:
		if err = client.Delete(ctx, found.Name, only(found)); err == nil {
			_, err = client.Create(ctx, wanted, metav1.CreateOptions{})
		}
	case createIt:
		_, err = client.Create(ctx, wanted, metav1.CreateOptions{})
	}
	return err
}

// only deletes what was looked at, in the version that was.
func only(found *rbacv1.ClusterRoleBinding) metav1.DeleteOptions {
	return metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &found.UID, ResourceVersion: &found.ResourceVersion}}
}

// Remove takes a member's bindings out of its cluster. What is another's, or not there, stays as it is.
func Remove(ctx context.Context, c *rest.Config, fleet, cluster string) error {
	clients, err := rbacclient.NewForConfig(c)
	if err != nil {
		return fmt.Errorf("take the fleet's roles out of the cluster: %w", err)
	}
	for role := range given {
		if err := remove(ctx, clients.ClusterRoleBindings(), binding(fleet, cluster, role)); err != nil {
			return fmt.Errorf("take the fleet's roles out of the cluster: %w", err)
		}
	}
	return nil
}

func remove(ctx context.Context, client rbacclient.ClusterRoleBindingInterface, ours *rbacv1.ClusterRoleBinding) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	found, err := client.Get(ctx, ours.Name, metav1.GetOptions{})
	if err == nil && found.Annotations[v1alpha1.AnnotationRegisteredBy] == ours.Annotations[v1alpha1.AnnotationRegisteredBy] {
		err = client.Delete(ctx, found.Name, only(found))
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
