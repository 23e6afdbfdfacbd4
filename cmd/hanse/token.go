package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/hanse-fleet/hanse/api/v1alpha1"
)

func tokenVerb() *cli.Command {
	return &cli.Command{
		Name: "token", Usage: "make a token that lets one cluster join",
		Subcommands: []*cli.Command{{
			Name: "create", Usage: "make a token that lets one cluster join, once",
			UsageText: `hanse token create > token
hanse token create --cluster iad --region us | ssh iad hanse join --cluster iad
hanse token create --cluster fra --replace                    the disk of its member is lost`,
			Flags: append(connectionFlags(defaultTimeout),
				&cli.StringFlag{Name: "cluster", Usage: "only a cluster of this NAME"},
				&cli.BoolFlag{Name: "replace", Usage: "for a new data directory of --cluster, whose member's disk is lost"},
				&cli.StringFlag{Name: "region", Usage: "the cluster's REGION"},
				&cli.StringFlag{Name: "zone", Usage: "the cluster's ZONE"},
				&cli.StringSliceFlag{Name: "label", Usage: "label `KEY=VALUE` of the cluster; repeatable"},
				&cli.StringFlag{Name: "voting", Usage: "never: the member never votes, and speaks only for itself"},
				&cli.StringFlag{Name: "rights", Usage: "what the member may write: RIGHTS Admin, OwnObjects or ReadOnly"},
				&cli.DurationFlag{Name: "ttl", Value: time.Hour, Usage: "valid for this TIME"},
			),
			Action: tokenAction,
		}},
	}
}

func tokenAction(c *cli.Context) error {
	const doing = "token create"
	wanted, err := tokenWanted(c)
	if err != nil {
		return during(doing, err)
	}
	answer, server, err := post(c, v1alpha1.PathTokens, wanted)
	if isReason(err, metav1.StatusReasonConflict) {
		err = withNext(err)
	}
	if err != nil {
		return during(doing, err)
	}
	var made v1alpha1.TokenAnswer
	if err := json.Unmarshal(answer, &made); err != nil || len(strings.Fields(made.Token)) != 1 {
		return during(doing, fmt.Errorf("%s answers what is no token: %s", server, made.Token))
	}
	fmt.Fprintln(c.App.Writer, made.Token)
	fmt.Fprintf(c.App.ErrWriter, "for one cluster, once, until %s; whoever has it can join\n", made.Expires.Local().Format("15:04:05 on 2006-01-02"))
	fmt.Fprintln(c.App.ErrWriter, "  "+hint{"on the new member", joinCommand(wanted)}.line(c.App.Name))
	return nil
}

func tokenWanted(c *cli.Context) (v1alpha1.TokenRequest, error) {
	wanted := v1alpha1.TokenRequest{
		Cluster: c.String("cluster"), Region: c.String("region"), Zone: c.String("zone"),
		Replace: c.Bool("replace"), TTLSeconds: int64(c.Duration("ttl").Seconds()),
	}
	if err := noNames(c); err != nil {
		return wanted, err
	}
	if wanted.TTLSeconds < 1 {
		return wanted, usagef("--ttl %s: a token must be valid for a second at least", c.Duration("ttl"))
	}
	if wanted.Replace && wanted.Cluster == "" {
		return wanted, usage("--replace: which cluster's member?", hint{"name it", "token create --cluster NAME --replace"})
	}
	for _, flag := range []string{"region", "zone", "label", "voting", "rights"} {
		if wanted.Replace && c.IsSet(flag) {
			return wanted, usagef("--replace keeps what the cluster is: leave --%s out", flag)
		}
	}
	var err error
	if wanted.Voting, err = oneOf(c, "voting", v1alpha1.VotingEligible, v1alpha1.VotingNever); err != nil {
		return wanted, err
	}
	if wanted.Rights, err = oneOf(c, "rights", v1alpha1.RightsAdmin, v1alpha1.RightsOwnObjects, v1alpha1.RightsReadOnly); err != nil {
		return wanted, err
	}
	for _, label := range c.StringSlice("label") {
		key, value, ok := strings.Cut(label, "=")
		if !ok || key == "" {
			return wanted, usagef("--label %s: not KEY=VALUE", label)
		}
		if wanted.Labels == nil {
			wanted.Labels = map[string]string{}
		}
		wanted.Labels[key] = value
	}
	return wanted, nil
}

// oneOf reads a flag whose value is one of a few words, in whatever case.
func oneOf[T ~string](c *cli.Context, flag string, words ...T) (T, error) {
	given := c.String(flag)
	if given == "" {
		return "", nil
	}
	var known []string
	for _, w := range words {
		if strings.EqualFold(given, string(w)) {
			return w, nil
		}
		known = append(known, strings.ToLower(string(w)))
	}
	return "", usagef("--%s %s: not one of %s%s", flag, given, strings.Join(known, ", "), didYouMean(given, known))
}

// joinCommand is what to type on the new member; what the token does not say must be said there.
func joinCommand(t v1alpha1.TokenRequest) string {
	name := t.Cluster
	if name == "" {
		name = "NAME"
	}
	command := "join --cluster " + name
	if t.Replace {
		command += " --data-dir FRESH"
	} else if t.Region == "" {
		command += " --region REGION"
	}
	return command + " < token"
}
