// Command consumer reaches a cluster as the consumers of the Cluster Inventory API do, with that API's own types and
// library: it reads a ClusterProfile from its standard input, and prints what its cluster answers to a GET. It is a
// module of its own, so that hanse does not depend on what it depends on.
//
//	consumer PROVIDERS.json PATH < profile.json
//
// Without arguments it only reads the profile, or the PlacementDecision, strictly, and prints it.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/cluster-inventory-api/apis/v1alpha1"
	"sigs.k8s.io/cluster-inventory-api/pkg/access"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "consumer:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var kind metav1.TypeMeta
	if err := json.Unmarshal(text, &kind); err != nil {
		return err
	}
	if kind.Kind == "PlacementDecision" {
		return strictly(text, &v1alpha1.PlacementDecision{})
	}
	var profile v1alpha1.ClusterProfile
	switch len(args) {
	case 0:
		return strictly(text, &profile)
	case 2:
	default:
		return errors.New("usage: consumer PROVIDERS.json PATH < profile.json")
	}
	if err := json.Unmarshal(text, &profile); err != nil {
		return err
	}
	return reach(profile, args[0], args[1])
}

// strictly reads an object as its type and prints it; a field that the type does not have is an error.
func strictly(text []byte, as any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(as); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(as)
}

// reach asks the profile's cluster, with the credentials of the plugin that the providers name.
func reach(profile v1alpha1.ClusterProfile, providers, path string) error {
	config, err := access.NewFromFile(providers)
	if err != nil {
		return err
	}
	cluster, err := config.BuildConfigFromCP(&profile)
	if err != nil {
		return err
	}
	cluster.Timeout = 20 * time.Second
	client, err := rest.HTTPClientFor(cluster)
	if err != nil {
		return err
	}
	response, err := client.Get(strings.TrimSuffix(cluster.Host, "/") + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the cluster answers %s", response.Status)
	}
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}
