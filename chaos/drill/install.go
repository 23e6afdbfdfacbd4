package drill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"sigs.k8s.io/yaml"
)

// InstallSize says how large an install is.
type InstallSize struct {
	// Definitions is how many kinds it brings, each with a schema of about SchemaBytes of JSON, and four objects of it.
	Definitions, SchemaBytes int
	// Dashboards is how many ConfigMaps hold a dashboard, of about DashboardBytes each.
	Dashboards, DashboardBytes int
	// Parts is how many components it has, each with its account, rights, settings, a service and a deployment.
	Parts int
}

// LargeInstall is just over 8 MiB and about 400 objects: what a whole observability or delivery stack brings.
var LargeInstall = InstallSize{Definitions: 30, SchemaBytes: 186 << 10, Dashboards: 40, DashboardBytes: 25 << 10, Parts: 24}

// Install is manifests with the shape of a large public install, as one stream of YAML, in no helpful order. It is the
// same for the same size and seed. Its deployments have no replicas, so that it becomes ready without nodes.
func Install(size InstallSize, seed uint64) ([]byte, int, error) {
	g := generator{chance: rand.New(rand.NewPCG(seed, 1))}
	for _, ns := range installNamespaces {
		g.add("v1", "Namespace", "", ns, nil)
	}
	for i := range size.Definitions {
		g.definition(i, size.SchemaBytes)
	}
	for i := range size.Dashboards {
		g.dashboard(i, size.DashboardBytes)
	}
	for i := range size.Parts {
		g.part(i)
	}
	g.chance.Shuffle(len(g.objects), func(i, j int) { g.objects[i], g.objects[j] = g.objects[j], g.objects[i] })
	var all bytes.Buffer
	for _, o := range g.objects {
		text, err := written(o)
		if err != nil {
			return nil, 0, fmt.Errorf("make install: %w", err)
		}
		all.WriteString("---\n")
		all.Write(text)
	}
	return all.Bytes(), len(g.objects), nil
}

// written is a document as generators write it: definitions, which are long, as JSON, and the rest for people.
func written(o tree) ([]byte, error) {
	if o["kind"] != "CustomResourceDefinition" {
		return yaml.Marshal(o)
	}
	text, err := json.Marshal(o)
	return append(text, '\n'), err
}

var installNamespaces = []string{"stack-system", "stack-monitoring", "stack-delivery"}

const installGroup = "stack.example.com"

// tree is an object, or a part of one, as it stands in a manifest.
type tree = map[string]any

type generator struct {
	chance  *rand.Rand
	objects []tree
}

// add adds an object with the labels that such installs have.
func (g *generator) add(version, kind, namespace, name string, rest tree) {
	meta := tree{"name": name, "labels": tree{
		"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "stack", "app.kubernetes.io/version": "2.14.0",
	}}
	if namespace != "" {
		meta["namespace"] = namespace
	}
	o := tree{"apiVersion": version, "kind": kind, "metadata": meta}
	for k, v := range rest {
		o[k] = v
	}
	g.objects = append(g.objects, o)
}

// definition adds a kind with a deep schema, and four objects of it.
func (g *generator) definition(i, size int) {
	kind, plural := fmt.Sprintf("Widget%d", i), fmt.Sprintf("widget%ds", i)
	spec, _ := g.object(size, 0)
	properties := spec["properties"].(tree)
	properties["size"] = tree{"type": "integer", "minimum": 0, "maximum": 100, "default": 3, "description": g.words(12)}
	g.add("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", plural+"."+installGroup, tree{"spec": tree{
		"group": installGroup, "scope": "Namespaced",
		"names": tree{"kind": kind, "listKind": kind + "List", "plural": plural, "singular": strings.ToLower(kind)},
		"versions": []any{tree{
			"name": "v1", "served": true, "storage": true, "subresources": tree{"status": tree{}},
			"additionalPrinterColumns": []any{tree{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}},
			"schema": tree{"openAPIV3Schema": tree{"type": "object", "properties": tree{
				"apiVersion": tree{"type": "string"}, "kind": tree{"type": "string"}, "metadata": tree{"type": "object"},
				"spec":   spec,
				"status": tree{"type": "object", "x-kubernetes-preserve-unknown-fields": true},
			}}},
		}},
	}})
	for n := range 4 {
		g.add(installGroup+"/v1", kind, g.namespace(n), fmt.Sprintf("%s-%d", strings.ToLower(kind), n), tree{"spec": tree{"size": n}})
	}
}

// object is the schema of an object, of about so many bytes: fields of all types, objects in objects six deep. It
// returns how many they are.
func (g *generator) object(size, depth int) (schema tree, made int) {
	properties := tree{}
	for made < size {
		name := fmt.Sprintf("%s-%s%d", g.word(), g.word(), len(properties))
		field, n := g.field(size/3, depth)
		properties[name] = field
		made += n + len(name)
	}
	return tree{"type": "object", "properties": properties, "description": g.words(25)}, made
}

// field is an object of about so many bytes, a list of such objects, or something simpler when there is no room for one.
func (g *generator) field(size, depth int) (schema tree, made int) {
	if depth >= 6 || size < 2048 {
		schema = g.leaf()
		text, _ := json.Marshal(schema) // a tree of strings and numbers
		return schema, len(text)
	}
	schema, made = g.object(size, depth+1)
	if g.chance.IntN(3) == 0 {
		schema = tree{"type": "array", "items": schema, "description": g.words(20), "x-kubernetes-list-type": "atomic"}
	}
	return schema, made
}

func (g *generator) leaf() tree {
	about := g.words(10 + g.chance.IntN(40))
	return []tree{
		{"type": "string", "description": about},
		{"type": "integer", "format": "int32", "minimum": 0, "description": about},
		{"type": "boolean", "description": about},
		{"type": "string", "enum": []any{"Always", "IfNotPresent", "Never"}, "description": about},
		{"type": "object", "additionalProperties": tree{"type": "string"}, "description": about},
		{"type": "array", "items": tree{"type": "string"}, "x-kubernetes-list-type": "set", "description": about},
		{"anyOf": []any{tree{"type": "integer"}, tree{"type": "string"}}, "x-kubernetes-int-or-string": true, "description": about},
	}[g.chance.IntN(7)]
}

// dashboard adds settings that hold JSON for another program.
func (g *generator) dashboard(i, size int) {
	var panels []any
	for bytes := 0; bytes < size; {
		p := tree{
			"id": len(panels), "type": "timeseries", "title": g.words(4), "gridPos": tree{"h": 8, "w": 12, "x": 0, "y": 8 * len(panels)},
			"targets": []any{tree{"expr": fmt.Sprintf("sum(rate(%s_%s_total{job=%q}[5m])) by (%s)", g.word(), g.word(), g.word(), g.word())}},
		}
		text, _ := json.Marshal(p) // a tree of strings and numbers
		bytes += len(text) * 5 / 4 // with its indentation
		panels = append(panels, p)
	}
	text, _ := json.MarshalIndent(tree{"title": g.words(3), "panels": panels}, "", " ")
	g.add("v1", "ConfigMap", "stack-monitoring", fmt.Sprintf("dashboard-%d", i), tree{"data": tree{"dashboard.json": string(text)}})
}

// part adds a component.
func (g *generator) part(i int) {
	ns, name := g.namespace(i), fmt.Sprintf("part-%d", i)
	rules := []any{
		tree{"apiGroups": []any{""}, "resources": []any{"configmaps", "services"}, "verbs": []any{"get", "list", "watch"}},
		tree{"apiGroups": []any{installGroup}, "resources": []any{"*"}, "verbs": []any{"get", "list", "watch"}},
	}
	account := []any{tree{"kind": "ServiceAccount", "name": name, "namespace": ns}}
	g.add("v1", "ServiceAccount", ns, name, nil)
	g.add("rbac.authorization.k8s.io/v1", "ClusterRole", "", "stack-"+name, tree{"rules": rules})
	g.add("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "", "stack-"+name, tree{
		"roleRef": tree{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "stack-" + name}, "subjects": account,
	})
	g.add("rbac.authorization.k8s.io/v1", "Role", ns, name, tree{"rules": rules})
	g.add("rbac.authorization.k8s.io/v1", "RoleBinding", ns, name, tree{
		"roleRef": tree{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}, "subjects": account,
	})
	g.add("v1", "ConfigMap", ns, name, tree{"data": tree{"config.yaml": g.words(200)}})
	selector := tree{"app.kubernetes.io/name": name}
	g.add("v1", "Service", ns, name, tree{"spec": tree{
		"selector": selector, "ports": []any{tree{"name": "http", "port": 80, "targetPort": "http"}, tree{"name": "metrics", "port": 9090}},
	}})
	g.add("apps/v1", "Deployment", ns, name, tree{"spec": tree{
		"replicas": 0, "selector": tree{"matchLabels": selector},
		"template": tree{"metadata": tree{"labels": selector}, "spec": tree{
			"serviceAccountName": name,
			"containers": []any{tree{
				"name": "main", "image": "registry.example.com/stack/" + name + ":2.14.0", "args": []any{"--log-level=info"},
				"ports":     []any{tree{"name": "http", "containerPort": 8080}},
				"resources": tree{"requests": tree{"cpu": "10m", "memory": "64Mi"}},
			}},
		}},
	}})
}

func (g *generator) namespace(i int) string { return installNamespaces[i%len(installNamespaces)] }

func (g *generator) word() string { return installWords[g.chance.IntN(len(installWords))] }

// words is a sentence of so many words.
func (g *generator) words(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = g.word()
	}
	return strings.Join(all, " ") + "."
}

var installWords = strings.Fields(`pod container volume claim node scheduler affinity taint toleration selector label
 annotation secret config mount path name namespace endpoint service port protocol target cluster replica rollout canary
 analysis metric query threshold interval duration timeout retry backoff limit request resource memory cpu storage class
 policy rule role binding subject account token key certificate authority issuer webhook admission controller operator
 status condition phase reason message generation revision history template strategy surge maximum minimum default
 optional required must should when unless field value reference object list map set string integer boolean the a of to
 is in and or for with not be this that if it are as by on from`)
