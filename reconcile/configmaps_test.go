package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// configMaps are those of a namespace, with versions, dry runs, and answers that get lost.
type configMaps struct {
	corev1client.ConfigMapInterface // what is not used

	mu      sync.Mutex
	version int
	lie     map[string]*corev1.ConfigMap
	asked   []string // what was asked, as "update inventories.3"; a dry run ends in an exclamation mark

	// refuse is asked before each request, lose after it was done: what they return is the answer.
	refuse, lose func(request string) error
}

func newConfigMaps() *configMaps { return &configMaps{lie: map[string]*corev1.ConfigMap{}} }

var configMapResource = schema.GroupResource{Resource: "configmaps"}

// do is one request, about an object that is there, or not.
func (c *configMaps) do(ctx context.Context, request string, dry bool, does func() (*corev1.ConfigMap, error)) (*corev1.ConfigMap, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if dry {
		request += "!"
	}
	c.asked = append(c.asked, request)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if c.refuse != nil {
		if err := c.refuse(request); err != nil {
			return nil, err
		}
	}
	cm, err := does()
	if err == nil && c.lose != nil {
		err = c.lose(request)
	}
	if err != nil {
		return nil, err
	}
	return cm.DeepCopy(), nil
}

func (c *configMaps) put(cm *corev1.ConfigMap, dry bool) (*corev1.ConfigMap, error) {
	cm = cm.DeepCopy()
	if c.version++; !dry {
		c.lie[cm.Name] = cm
	}
	cm.ResourceVersion = fmt.Sprint(c.version)
	return cm, nil
}

func (c *configMaps) Create(ctx context.Context, cm *corev1.ConfigMap, o metav1.CreateOptions) (*corev1.ConfigMap, error) {
	return c.do(ctx, "create "+cm.Name, len(o.DryRun) > 0, func() (*corev1.ConfigMap, error) {
		if c.lie[cm.Name] != nil {
			return nil, apierrors.NewAlreadyExists(configMapResource, cm.Name)
		}
		return c.put(cm, len(o.DryRun) > 0)
	})
}

func (c *configMaps) Update(ctx context.Context, cm *corev1.ConfigMap, o metav1.UpdateOptions) (*corev1.ConfigMap, error) {
	return c.do(ctx, "update "+cm.Name, len(o.DryRun) > 0, func() (*corev1.ConfigMap, error) {
		there := c.lie[cm.Name]
		if there == nil {
			return nil, apierrors.NewNotFound(configMapResource, cm.Name)
		}
		if cm.ResourceVersion != there.ResourceVersion {
			return nil, apierrors.NewConflict(configMapResource, cm.Name, errors.New("newer"))
		}
		return c.put(cm, len(o.DryRun) > 0)
	})
}

func (c *configMaps) Get(ctx context.Context, name string, _ metav1.GetOptions) (*corev1.ConfigMap, error) {
	return c.do(ctx, "get "+name, false, func() (*corev1.ConfigMap, error) {
		if c.lie[name] == nil {
			return nil, apierrors.NewNotFound(configMapResource, name)
		}
		return c.lie[name], nil
	})
}

func (c *configMaps) Delete(ctx context.Context, name string, o metav1.DeleteOptions) error {
	_, err := c.do(ctx, "delete "+name, false, func() (*corev1.ConfigMap, error) {
		there := c.lie[name]
		if there == nil {
			return nil, apierrors.NewNotFound(configMapResource, name)
		}
		if o.Preconditions != nil && *o.Preconditions.ResourceVersion != there.ResourceVersion {
			return nil, apierrors.NewConflict(configMapResource, name, errors.New("it is another version"))
		}
		delete(c.lie, name)
		return there, nil
	})
	return err
}

func (c *configMaps) List(ctx context.Context, o metav1.ListOptions) (*corev1.ConfigMapList, error) {
	selector, err := labels.Parse(o.LabelSelector)
	if err != nil {
		return nil, err
	}
	out := &corev1.ConfigMapList{}
	_, err = c.do(ctx, "list "+o.LabelSelector, false, func() (*corev1.ConfigMap, error) {
		for _, cm := range c.lie {
			if selector.Matches(labels.Set(cm.Labels)) {
				out.Items = append(out.Items, *cm.DeepCopy())
			}
		}
		return &corev1.ConfigMap{}, nil
	})
	return out, err
}

// requests are those that begin so since the last call, and all others are forgotten.
func (c *configMaps) requests(beginnings ...string) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, request := range c.asked {
		for _, b := range beginnings {
			if strings.HasPrefix(request, b) {
				n++
			}
		}
	}
	c.asked = nil
	return n
}

// edit changes a ConfigMap as a person would; nil deletes it.
func (c *configMaps) edit(t testing.TB, name string, change func(cm *corev1.ConfigMap)) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	cm := c.lie[name]
	switch {
	case cm == nil:
		t.Fatalf("there is no %s", name)
	case change == nil:
		delete(c.lie, name)
		return
	}
	cm = cm.DeepCopy()
	change(cm)
	c.version++
	cm.ResourceVersion = fmt.Sprint(c.version)
	c.lie[name] = cm
}

// chunks are the ConfigMaps that are no shards.
func (c *configMaps) chunks() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name := range c.lie {
		if _, is := shardCalled(name); !is {
			n++
		}
	}
	return n
}

// session is a new one's inventories: they know nothing.
func (c *configMaps) session() *inventories {
	return newInventories(&heads{client: c, fleet: "acme", cluster: "fra", slots: make(slots, 4)})
}

func shardNameOf(bundle string) string { return shardName(shardOf(objectName(bundle))) }
