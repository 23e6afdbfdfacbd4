package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/urfave/cli/v2"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
	"github.com/hanse-fleet/hanse/internal/durable"
)

func userVerb() *cli.Command {
	return &cli.Command{
		Name: "user", Usage: "let a person in, with a key of their own",
		Subcommands: []*cli.Command{{
			Name: "create", Usage: "make a key, a User with its pin, and a kubeconfig that holds the key",
			UsageText: `hanse user create anna --role operator
hanse user create anna --role viewer --out FILE      else anna.yaml is written

Give the file to the person by a way that nobody else reads, and keep no copy. hanse get users lists who is let in;
hanse delete user anna ends it at once.`,
			Flags: append(connectionFlags(defaultTimeout),
				&cli.StringFlag{Name: "role", Usage: "what the person may do: ROLE Admin, Operator or Viewer"},
				&cli.StringFlag{Name: "out", DefaultText: "NAME.yaml", Usage: "the kubeconfig to write, a FILE that is not there yet"},
			),
			Action: userCreateAction,
		}},
	}
}

func userCreateAction(c *cli.Context) error {
	p, err := newcomerTyped(c)
	if err != nil {
		return during("user create", err)
	}
	return during("user create "+p.name, p.letIn(c))
}

// newcomer is a person who is to be let in.
type newcomer struct {
	name string
	role v1alpha1.Role
	file string // the kubeconfig
}

func newcomerTyped(c *cli.Context) (p newcomer, err error) {
	if c.NArg() != 1 {
		return p, usage("who? one name", hint{"for example", example(c)})
	}
	p.name = c.Args().First()
	if len(validation.IsDNS1123Subdomain(p.name)) > 0 {
		return p, usagef("name %q: must be lower case letters, digits, - and .", p.name)
	}
	if p.role, err = oneOf(c, "role", v1alpha1.RoleAdmin, v1alpha1.RoleOperator, v1alpha1.RoleViewer); err != nil {
		return p, err
	}
	if p.role == "" {
		return p, usage("--role is missing: admin, operator or viewer", hint{"for example", example(c)})
	}
	if p.file = c.String("out"); p.file == "" {
		p.file = p.name + ".yaml"
	}
	if _, err := os.Lstat(p.file); !errors.Is(err, fs.ErrNotExist) {
		return p, usage(p.file+" is there already, and is not written over", hint{"write another", "user create " + p.name + " --role " + string(p.role) + " --out FILE"})
	}
	return p, nil
}

// letIn makes the key, then the User, then the kubeconfig. The key is kept beside that until it is whole, so a repetition
// after any interruption goes on with the same one.
func (p newcomer) letIn(c *cli.Context) error {
	f, err := connect(c, c.App.ErrWriter)
	if err != nil {
		return err
	}
	ctx, cancel := withTimeout(c)
	defer cancel()
	var members v1alpha1.MemberList
	if _, err := f.read(ctx, request{path: v1alpha1.PathMembers}, &members); err != nil {
		return err
	}
	draft := p.file + ".key"
	pair, err := f.draftCredential(ctx, nil, draft, p.name, p.role)
	if err != nil {
		return err
	}
	text, err := clientcmd.Write(kubeconfigOf(members, p.name, &clientcmdapi.AuthInfo{ClientCertificateData: pair.certificate, ClientKeyData: pair.key}))
	if err != nil {
		return fmt.Errorf("encode kubeconfig: %w", err)
	}
	if _, err := durable.WriteFile(p.file, durable.Bytes(text)); err != nil {
		return fmt.Errorf("keep kubeconfig: %w", err)
	}
	if err := os.Remove(draft); err != nil {
		return fmt.Errorf("remove %s, whose key is in %s now: %w", draft, p.file, err)
	}
	fmt.Fprintf(c.App.Writer, "user %s is let in as %s\n", p.name, p.role)
	fmt.Fprintf(c.App.ErrWriter, "the key is in %s, and nowhere else: give it to %s by a way that nobody else reads\n", p.file, p.name)
	fmt.Fprintln(c.App.ErrWriter, "  "+hint{"then, anywhere", "--config " + p.file + " status"}.line(c.App.Name))
	return nil
}
