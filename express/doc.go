// Package express evaluates what people say of a cluster in CEL: cluster.labels["tier"] == "prod". An expression sees one
// cluster's name, labels, place, taints and facts, and nothing else; its length, its cost and its result are bounded.
package express
