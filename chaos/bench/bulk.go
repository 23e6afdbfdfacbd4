package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/hanse-fleet/hanse/chaos/testbed"
)

// thousand is how many objects the rows of one cluster have.
const thousand = 1000

var (
	objectsASecond = unit{name: "/s", more: true}
	coreSeconds    = unit{name: "core-s"}
)

// into puts a thousand objects into a namespace of a cluster, and returns when its command has ended, and the
// processor time that whoever applied them took.
type into struct {
	name string
	put  func(ctx context.Context, namespace string) (cpu float64, err error)
}

func (i into) String() string { return i.name }

// bulk measures a thousand objects from the start of a command to the event of the last of them, ours beside
// kubectl's, and beside them what the kube-apiserver takes of 64 clients that only send.
func (b *bed) bulk(ctx context.Context) ([]Row, error) {
	s, err := b.realClusters(ctx, "bulk", 1, testbed.Options{})
	if err != nil {
		return nil, err
	}
	defer s.close()
	one := s[0]
	ways := []into{
		{"ours", func(ctx context.Context, namespace string) (float64, error) { return one.putByHanse(ctx, namespace) }},
		{"kubectl", func(ctx context.Context, namespace string) (float64, error) {
			return b.putByKubectl(ctx, one, namespace)
		}},
		{"64 clients", func(ctx context.Context, namespace string) (float64, error) { return 0, one.putAtOnce(ctx, namespace) }},
	}
	var speed, cpu [3][]float64
	for round := range b.Rounds {
		for turn := range ways {
			which := (round + turn) % len(ways)
			b.say("%d objects: %s, round %d of %d", thousand, ways[which], round+1, b.Rounds)
			took, used, err := one.measureInto(ctx, fmt.Sprintf("bulk-%d", b.serial.Add(1)), ways[which])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", ways[which], err)
			}
			speed[which], cpu[which] = append(speed[which], thousand/took.Seconds()), append(cpu[which], used)
		}
	}
	return []Row{
		newRow("1,000 objects into one apiserver, beside kubectl", objectsASecond, speed[0], speed[1], atLeast(5)),
		newRow("1,000 objects, processor time of the agent; kubectl", coreSeconds, cpu[0], cpu[1], atMost(1, coreSeconds)),
		newRow("1,000 objects, beside what the apiserver takes", objectsASecond, speed[0], speed[2], nil),
	}, nil
}

// measureInto is how long it took until all objects were there, as an event of each says.
func (s *site) measureInto(ctx context.Context, namespace string, way into) (took time.Duration, cpu float64, err error) {
	made := map[string]bool{}
	seen, err := s.follow(ctx, namespace, func(e watch.EventType, c *corev1.ConfigMap) bool {
		if c.Data["value"] == value {
			made[c.Name] = true
		}
		return len(made) == thousand
	})
	if err != nil {
		return 0, 0, err
	}
	begun := time.Now()
	if cpu, err = way.put(ctx, namespace); err != nil {
		return 0, 0, err
	}
	at, err := seen()
	return at.Sub(begun), cpu, err
}

// putByHanse returns when the cluster's member has said that all runs, with what the member took meanwhile.
func (s *site) putByHanse(ctx context.Context, namespace string) (float64, error) {
	before, err := cpuSeconds(s.member.Pid())
	if err != nil {
		return 0, err
	}
	if _, err := typed(ctx, s.member.Person(), string(configMaps(namespace, thousand)), "apply", "--bundle", namespace, "--to", "all", "-f", "-", "--wait"); err != nil {
		return 0, err
	}
	after, err := cpuSeconds(s.member.Pid())
	return after - before, err
}

func (b *bed) putByKubectl(ctx context.Context, s *site, namespace string) (float64, error) {
	file := filepath.Join(b.Dir, namespace+".yaml")
	if err := os.WriteFile(file, configMaps(namespace, thousand), 0o600); err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, b.Binaries.Path(testbed.Kubectl), "--kubeconfig", s.cluster.Kubeconfig(), "apply", "--server-side", "-f", file)
	cmd.Env = append(os.Environ(), "HOME="+b.Dir) // its cache of what the cluster serves lies there
	if said, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("kubectl apply: %w\n%.300s", err, said)
	}
	return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), nil
}

// putAtOnce sends the same applies as the others, over connections of 16 clients each, and asks nothing.
func (s *site) putAtOnce(ctx context.Context, namespace string) error {
	_, err := s.client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	sending, ctx := errgroup.WithContext(ctx)
	for connection := range askers / perConnection {
		config, err := s.cluster.REST()
		if err != nil {
			return err
		}
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return err
		}
		for c := range perConnection {
			sending.Go(func() error {
				for i := connection*perConnection + c; i < thousand; i += askers {
					if err := applyMap(ctx, client, namespace, fmt.Sprintf("c%d", i)); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	return sending.Wait()
}

func applyMap(ctx context.Context, client kubernetes.Interface, namespace, name string) error {
	body := fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"namespace":%q},"data":{"value":%q}}`, name, namespace, value)
	_, err := client.CoreV1().ConfigMaps(namespace).Patch(ctx, name, types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: "bench"})
	return err
}
