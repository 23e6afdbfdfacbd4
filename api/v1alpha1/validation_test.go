package v1alpha1

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }

// expectFaults compares the paths of the errors, in order.
func expectFaults(t *testing.T, errs field.ErrorList, want ...string) {
	t.Helper()
	var got []string
	for _, e := range errs {
		got = append(got, e.Field)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("faults at %q, want %q: %v", got, want, errs)
	}
}

func TestManifestsAreWholeObjectsWithNames(t *testing.T) {
	const good = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"n"}}`
	for what, row := range map[string]struct {
		manifests []string
		faults    []string
	}{
		"a good one":                    {[]string{good}, nil},
		"none":                          {nil, nil},
		"nothing":                       {[]string{``}, []string{"[0]"}},
		"null":                          {[]string{`null`}, []string{"[0].apiVersion", "[0].kind", "[0].metadata.name"}},
		"a string":                      {[]string{`"x"`}, []string{"[0]"}},
		"no apiVersion":                 {[]string{`{"kind":"X","metadata":{"name":"a"}}`}, []string{"[0].apiVersion"}},
		"an apiVersion of three parts":  {[]string{`{"apiVersion":"a/b/c","kind":"X","metadata":{"name":"a"}}`}, []string{"[0].apiVersion"}},
		"a key in another case":         {[]string{`{"APIVERSION":"v1","kind":"X","metadata":{"name":"a"}}`}, []string{"[0].apiVersion"}},
		"no kind":                       {[]string{`{"apiVersion":"v1","metadata":{"name":"a"}}`}, []string{"[0].kind"}},
		"no metadata":                   {[]string{`{"apiVersion":"v1","kind":"X"}`}, []string{"[0].metadata.name"}},
		"a name that is a number":       {[]string{`{"apiVersion":"v1","kind":"X","metadata":{"name":1}}`}, []string{"[0]"}},
		"a name with a slash":           {[]string{`{"apiVersion":"v1","kind":"X","metadata":{"name":"a/b"}}`}, []string{"[0].metadata.name"}},
		"a generated name":              {[]string{`{"apiVersion":"v1","kind":"X","metadata":{"generateName":"a"}}`}, []string{"[0].metadata.generateName"}},
		"a namespace that is no label":  {[]string{`{"apiVersion":"v1","kind":"X","metadata":{"name":"a","namespace":"A"}}`}, []string{"[0].metadata.namespace"}},
		"a list":                        {[]string{`{"apiVersion":"v1","kind":"List","metadata":{"name":"a"},"items":[]}`}, []string{"[0].kind"}},
		"a list of a kind":              {[]string{`{"apiVersion":"v1","kind":"PodList","metadata":{"name":"a"},"items":[]}`}, []string{"[0].kind"}},
		"a kind that ends in List":      {[]string{`{"apiVersion":"x.io/v1","kind":"AllowList","metadata":{"name":"a"}}`}, nil},
		"one of ours":                   {[]string{`{"apiVersion":"fleet.hanse.dev/v1","kind":"User","metadata":{"name":"a"}}`}, []string{"[0].apiVersion"}},
		"the same twice":                {[]string{good, good}, []string{"[1]"}},
		"the same in another version":   {[]string{`{"apiVersion":"apps/v1","kind":"X","metadata":{"name":"a"}}`, `{"apiVersion":"apps/v2","kind":"X","metadata":{"name":"a"}}`}, []string{"[1]"}},
		"the same name, another kind":   {[]string{`{"apiVersion":"v1","kind":"X","metadata":{"name":"a"}}`, `{"apiVersion":"v1","kind":"Y","metadata":{"name":"a"}}`}, nil},
		"the same name, other namspace": {[]string{good, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"m"}}`}, nil},
	} {
		t.Run(what, func(t *testing.T) {
			b := &Bundle{ObjectMeta: named("shop")}
			SetBundleDefaults(b)
			for _, m := range row.manifests {
				b.Spec.Manifests = append(b.Spec.Manifests, runtime.RawExtension{Raw: []byte(m)})
			}
			var want []string
			for _, f := range row.faults {
				want = append(want, "spec.manifests"+f)
			}
			expectFaults(t, ValidateBundle(b), want...)
		})
	}
}

func TestASecretThatCouldBeReadInTheLogIsMeant(t *testing.T) {
	for manifest, plain := range map[string]bool{
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"data":{"x":"eA=="}}`:      true,
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"stringData":{"x":"x"}}`:   true,
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"data":"eA=="}`:            true,
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"data":{}}`:                false,
		`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"},"type":"Opaque"}`:          false,
		`{"apiVersion":"x.io/v1","kind":"Secret","metadata":{"name":"a"},"data":{"x":"eA=="}}`: false,
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"x":"eA=="}}`:   false,
	} {
		b := &Bundle{ObjectMeta: named("shop")}
		SetBundleDefaults(b)
		b.Spec.Manifests = []runtime.RawExtension{{Raw: []byte(manifest)}}
		var want []string
		if plain {
			want = []string{"spec.manifests[0]"}
		}
		expectFaults(t, ValidateBundle(b), want...)
		b.Spec.PlainSecrets = PlainSecretsAllow
		expectFaults(t, ValidateBundle(b))
		b.Spec.PlainSecrets = "Never"
		expectFaults(t, ValidateBundle(b), append([]string{"spec.plainSecrets"}, want...)...)
	}
}

func TestABundleHasALimitOfSizeAndOfFaultsTold(t *testing.T) {
	b := &Bundle{ObjectMeta: named("shop")}
	SetBundleDefaults(b)
	for i := range 13 {
		raw := fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a%d"},"data":{"x":%q}}`, i, strings.Repeat("x", 1<<20))
		b.Spec.Manifests = append(b.Spec.Manifests, runtime.RawExtension{Raw: []byte(raw)})
	}
	expectFaults(t, ValidateBundle(b), "spec.manifests")
	b.Spec.Manifests = b.Spec.Manifests[:8]
	expectFaults(t, ValidateBundle(b))
	b.Spec.Manifests = make([]runtime.RawExtension, 1000)
	if n := len(ValidateBundle(b)); n > maxManifestErrors+1 {
		t.Errorf("%d faults told", n)
	}
}

func TestPlacementAndPolicies(t *testing.T) {
	good := func() *Bundle {
		b := &Bundle{ObjectMeta: named("shop")}
		SetBundleDefaults(b)
		return b
	}
	for what, row := range map[string]struct {
		change func(*Bundle)
		faults []string
	}{
		"a good one":              {func(*Bundle) {}, nil},
		"a name with a dot":       {func(b *Bundle) { b.Name = "a.b" }, []string{"metadata.name"}},
		"a name of 64 bytes":      {func(b *Bundle) { b.Name = strings.Repeat("a", 64) }, []string{"metadata.name"}},
		"a cluster that is twice": {func(b *Bundle) { b.Spec.Placement.Clusters = []string{"fra", "fra"} }, []string{"spec.placement.clusters[1]"}},
		"a cluster of no name":    {func(b *Bundle) { b.Spec.Placement.Clusters = []string{""} }, []string{"spec.placement.clusters[0]"}},
		"an empty selector":       {func(b *Bundle) { b.Spec.Placement.ClusterSelector = &metav1.LabelSelector{} }, nil},
		"a selector that selects nothing known": {func(b *Bundle) {
			b.Spec.Placement.ClusterSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}
		}, []string{"spec.placement.clusterSelector.matchExpressions[0].operator"}},
		"a label that is none": {func(b *Bundle) {
			b.Spec.Placement.ClusterSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"-": "x"}}
		}, []string{"spec.placement.clusterSelector.matchLabels"}},
		"what it depends on": {func(b *Bundle) { b.Spec.DependsOn = []string{b.Name, "base", "base", "a.b"} },
			[]string{"spec.dependsOn[0]", "spec.dependsOn[2]", "spec.dependsOn[3]"}},
		"fields that it ignores": {func(b *Bundle) {
			b.Spec.Ignore = []IgnoredFields{{Target: Target{Kind: "Deployment"}, Paths: []string{"/spec/replicas", "/spec/replicas"}}, {}, {Target: Target{Kind: "Job"}, Paths: []string{"spec", "/kind"}}}
		}, []string{"spec.ignore[0].paths[1]", "spec.ignore[1].target.kind", "spec.ignore[1].paths", "spec.ignore[2].paths[0]", "spec.ignore[2].paths[1]"}},
		"an order that is none": {func(b *Bundle) {
			b.Spec.Manifests = []runtime.RawExtension{{Raw: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","annotations":{"fleet.hanse.dev/order":"first"}}}`)}}
		}, []string{"spec.manifests[0].metadata.annotations[fleet.hanse.dev/order]"}},
		"a way to replace that is none": {func(b *Bundle) {
			b.Spec.Manifests = []runtime.RawExtension{
				{Raw: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","annotations":{"fleet.hanse.dev/replace":"true"}}}`)},
				{Raw: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b","annotations":{"fleet.hanse.dev/replace":"WhenImmutable"}}}`)},
			}
		}, []string{"spec.manifests[0].metadata.annotations[fleet.hanse.dev/replace]"}},
		"a correction that is no JSON": {func(b *Bundle) { b.Annotations = map[string]string{AnnotationCorrect: "yes"} }, []string{"metadata.annotations[fleet.hanse.dev/correct]"}},
		"a correction of no number":    {func(b *Bundle) { b.Annotations = map[string]string{AnnotationCorrect: "{}"} }, []string{"metadata.annotations[fleet.hanse.dev/correct].number"}},
		"a correction of nothing": {func(b *Bundle) {
			b.Annotations = map[string]string{AnnotationCorrect: `{"number":1,"in":[{"clusters":["fra"]}]}`}
		}, []string{"metadata.annotations[fleet.hanse.dev/correct].in[0].objects"}},
		"a correction nowhere": {func(b *Bundle) {
			b.Annotations = map[string]string{AnnotationCorrect: `{"number":1,"in":[{"clusters":["fra"],"objects":[{"kind":"A","name":"a"}]},{"objects":[{"kind":"A","name":"a"}]}]}`}
		}, []string{"metadata.annotations[fleet.hanse.dev/correct].in[1].clusters"}},
		"a correction":        {func(b *Bundle) { b.Annotations = map[string]string{AnnotationCorrect: `{"number":1}`} }, nil},
		"policies of no name": {func(b *Bundle) { b.Spec.Drift, b.Spec.Deletion, b.Spec.Adopt = "a", "b", "c" }, []string{"spec.drift", "spec.deletion", "spec.adopt"}},
	} {
		t.Run(what, func(t *testing.T) {
			b := good()
			row.change(b)
			expectFaults(t, ValidateBundle(b), row.faults...)
		})
	}
}

func TestFleetClusterAndUser(t *testing.T) {
	fleet := &Fleet{ObjectMeta: named("acme")}
	SetFleetDefaults(fleet)
	expectFaults(t, ValidateFleet(fleet, "acme"))
	expectFaults(t, ValidateFleet(fleet, "demo"), "metadata.name")
	for _, n := range []int32{-1, 2, 4, 9} {
		expectFaults(t, ValidateFleet(&Fleet{ObjectMeta: named("acme"), Spec: FleetSpec{Voters: n}}, "acme"), "spec.voters")
	}
	hours := func(n time.Duration) metav1.Duration { return metav1.Duration{Duration: n * time.Hour} }
	expectFaults(t, ValidateFleet(&Fleet{ObjectMeta: named("acme"), Spec: FleetSpec{Voters: 3, History: &HistorySpec{Keep: 5, For: hours(24)}}}, "acme"))
	expectFaults(t, ValidateFleet(&Fleet{ObjectMeta: named("acme"), Spec: FleetSpec{Voters: 3, History: &HistorySpec{Keep: -1, For: hours(-1)}}}, "acme"), "spec.history.keep", "spec.history.for")
	expectFaults(t, ValidateFleet(&Fleet{ObjectMeta: named("acme"), Spec: FleetSpec{Voters: 3, History: &HistorySpec{Keep: MaxHistoryKeep + 1}}}, "acme"), "spec.history.keep")

	cluster := &Cluster{ObjectMeta: named("fra"), Spec: ClusterSpec{Region: "eu"}}
	SetClusterDefaults(cluster)
	expectFaults(t, ValidateCluster(cluster))
	expectFaults(t, ValidateCluster(&Cluster{ObjectMeta: named("fra_1"), Spec: ClusterSpec{Zone: "A"}}),
		"metadata.name", "spec.region", "spec.zone", "spec.voting", "spec.rights")

	pin := strings.Repeat("0f", 32)
	expectFaults(t, ValidateUser(&User{ObjectMeta: named("jane.doe"), Spec: UserSpec{Pin: pin, Role: RoleViewer}}))
	expectFaults(t, ValidateUser(&User{ObjectMeta: named("hanse:local"), Spec: UserSpec{Pin: strings.ToUpper(pin)}}),
		"metadata.name", "spec.pin", "spec.role")
}

func TestBackupsThatTheFleetCouldNotCarryOutAreRefused(t *testing.T) {
	hourly := BackupSpec{Every: metav1.Duration{Duration: time.Hour}, Recipients: []string{"age1x"}, To: "s3://bucket"}
	for what, row := range map[string]struct {
		change func(*BackupSpec)
		faults []string
	}{
		"a good one":                    {func(*BackupSpec) {}, nil},
		"a month of them":               {func(b *BackupSpec) { b.Retention = &BackupRetention{For: metav1.Duration{Duration: 720 * time.Hour}} }, nil},
		"more than the fleet remembers": {func(b *BackupSpec) { b.Retention = &BackupRetention{Keep: MaxBackups + 1} }, []string{"spec.backup.retention"}},
		"for longer than it remembers":  {func(b *BackupSpec) { b.Retention = &BackupRetention{For: metav1.Duration{Duration: 1001 * time.Hour}} }, []string{"spec.backup.retention"}},
		"a retention of nothing":        {func(b *BackupSpec) { b.Retention = &BackupRetention{} }, []string{"spec.backup.retention"}},
		"an endpoint":                   {func(b *BackupSpec) { b.Endpoint = "https://minio.local:9000/" }, nil},
		"an endpoint with a path":       {func(b *BackupSpec) { b.Endpoint = "https://minio.local:9000/store" }, []string{"spec.backup.endpoint"}},
		"a very long place":             {func(b *BackupSpec) { b.To = "/" + strings.Repeat("x", 1024) }, []string{"spec.backup.to"}},
	} {
		t.Run(what, func(t *testing.T) {
			spec := hourly
			row.change(&spec)
			expectFaults(t, ValidateFleet(&Fleet{ObjectMeta: named("acme"), Spec: FleetSpec{Voters: 3, Backup: &spec}}, "acme"), row.faults...)
		})
	}
}

func TestRightsFollowVoting(t *testing.T) {
	for voting, want := range map[Voting]Rights{"": RightsAdmin, VotingEligible: RightsAdmin, VotingNever: RightsOwnObjects} {
		c := &Cluster{Spec: ClusterSpec{Voting: voting}}
		if SetClusterDefaults(c); c.Spec.Rights != want {
			t.Errorf("voting %q has rights %s, want %s", voting, c.Spec.Rights, want)
		}
	}
}

func TestNamesOfRevisionsAndWorks(t *testing.T) {
	if got := RevisionName("shop", "0a1b2c3d-9999", 7); got != "shop-0a1b2c3d-7" {
		t.Error(got)
	}
	if b, c, ok := SplitWorkName(WorkName("shop", "fra")); b != "shop" || c != "fra" || !ok {
		t.Error(b, c, ok)
	}
	if b, c, ok := SplitWorkName(WorkName(RolledOut{"FleetSecret", "db"}.String(), "fra")); b != "secret.db" || c != "fra" || !ok {
		t.Error(b, c, ok)
	}
	for _, bad := range []string{"", "shop", ".fra", "shop."} {
		if _, _, ok := SplitWorkName(bad); ok {
			t.Errorf("%q is taken for a work's name", bad)
		}
	}
}

func TestEqualManifestsHaveOneForm(t *testing.T) {
	a := BundleContent{Manifests: []runtime.RawExtension{{Raw: []byte(` {"b": 1.0, "a": {"d": 2, "c": "<"}} `)}, {Raw: []byte(`null`)}}}
	b := BundleContent{Manifests: []runtime.RawExtension{{Raw: []byte("{\"a\":{\"c\":\"\\u003c\",\"d\":2},\n\"b\":1.0}")}, {Raw: []byte(`null`)}}}
	a.CanonicalizeManifests()
	b.CanonicalizeManifests()
	for i := range a.Manifests {
		if string(a.Manifests[i].Raw) != string(b.Manifests[i].Raw) {
			t.Errorf("%s and %s", a.Manifests[i].Raw, b.Manifests[i].Raw)
		}
	}
}

func TestRolloutSettings(t *testing.T) {
	canary := func(v intstr.IntOrString) *intstr.IntOrString { return &v }
	for name, c := range map[string]struct {
		fleet  FleetRollout
		bundle BundleRollout
		want   string
	}{
		"nothing said is fine":                   {},
		"a label that is none":                   {fleet: FleetRollout{Domain: "a b"}, want: "spec.rollout.domain"},
		"fewer than no domains":                  {fleet: FleetRollout{MaxDomains: -1}, want: "spec.rollout.maxDomains"},
		"a deadline before a failure can last":   {bundle: BundleRollout{ProgressDeadline: &metav1.Duration{Duration: time.Second}}, want: "spec.rollout.progressDeadline"},
		"a deadline":                             {bundle: BundleRollout{ProgressDeadline: &metav1.Duration{Duration: time.Minute}}},
		"a soak that ends before it begins":      {fleet: FleetRollout{Soak: &metav1.Duration{Duration: -1}}, want: "spec.rollout.soak"},
		"a reason of two lines":                  {fleet: FleetRollout{Freeze: &Freeze{Reason: "a\nb"}}, want: "spec.rollout.freeze.reason"},
		"no canary at all":                       {bundle: BundleRollout{Canary: canary(intstr.FromInt32(0))}, want: "spec.rollout.canary"},
		"more than all":                          {bundle: BundleRollout{Canary: canary(intstr.FromString("101%"))}, want: "spec.rollout.canary"},
		"a canary that is no number":             {bundle: BundleRollout{Canary: canary(intstr.FromString("few"))}, want: "spec.rollout.canary"},
		"a tenth first is fine":                  {bundle: BundleRollout{Canary: canary(intstr.FromString("10%"))}},
		"a stage without a name":                 {bundle: BundleRollout{Stages: []RolloutStage{{}}}, want: "spec.rollout.stages[0].name"},
		"two stages of one name":                 {bundle: BundleRollout{Stages: []RolloutStage{{Name: "a"}, {Name: "a"}}}, want: "spec.rollout.stages[1].name"},
		"the stage of the others":                {bundle: BundleRollout{Stages: []RolloutStage{{Name: StageOthers}}}, want: "spec.rollout.stages[0].name"},
		"a fault domain that is no label":        {bundle: BundleRollout{Stages: []RolloutStage{{Name: "a", Domains: []string{"e u"}}}}, want: "spec.rollout.stages[0].domains[0]"},
		"a selector that selects nothing":        {bundle: BundleRollout{Stages: []RolloutStage{{Name: "a", ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"a b": "c"}}}}}, want: "spec.rollout.stages[0].clusterSelector.matchLabels"},
		"a stage that waits for somebody":        {bundle: BundleRollout{Stages: []RolloutStage{{Name: "a", Approval: "Perhaps"}}}, want: "spec.rollout.stages[0].approval"},
		"a window by the clocks of a place":      {bundle: BundleRollout{Windows: []RolloutWindow{{Days: []Day{Monday, Friday}, Start: "22:00", End: "06:00", TimeZone: "Europe/Berlin"}, {}}}},
		"a gate":                                 {bundle: BundleRollout{Gates: []RolloutGate{{Name: "errors", Metric: &MetricGate{URL: "https://prometheus.example/prom", Query: "up", Must: "<= 1e-3"}}}}},
		"a gate that asks nothing":               {bundle: BundleRollout{Gates: []RolloutGate{{Name: "errors"}}}, want: "spec.rollout.gates[0]"},
		"a gate of an object and its condition":  {bundle: gateOf(ObjectRef{APIVersion: "batch/v1", Kind: "Job", Namespace: "shop", Name: "migrate"}, &GateCondition{Type: "Complete"})},
		"a gate that asks two things":            {bundle: BundleRollout{Gates: []RolloutGate{{Name: "a", Metric: &MetricGate{URL: "http://prometheus", Query: "up", Must: "> 1"}, Condition: &GateCondition{Type: "Complete"}}}}, want: "spec.rollout.gates[0].metric"},
		"a failure that is survived":             {bundle: BundleRollout{OnFailure: "Continue"}, want: "spec.rollout.onFailure"},
		"an object without a condition":          {bundle: gateOf(ObjectRef{APIVersion: "batch/v1", Kind: "Job", Name: "migrate"}, nil), want: "spec.rollout.gates[0].condition"},
		"a condition of no type":                 {bundle: gateOf(ObjectRef{APIVersion: "batch/v1", Kind: "Job", Name: "migrate"}, &GateCondition{}), want: "spec.rollout.gates[0].condition.type"},
		"a status that no condition has":         {bundle: gateOf(ObjectRef{APIVersion: "batch/v1", Kind: "Job", Name: "migrate"}, &GateCondition{Type: "Complete", Status: "true"}), want: "spec.rollout.gates[0].condition.status"},
		"an object without a name":               {bundle: gateOf(ObjectRef{APIVersion: "v1", Kind: "Pod"}, &GateCondition{Type: "Ready"}), want: "spec.rollout.gates[0].object.name"},
		"an object of no version":                {bundle: gateOf(ObjectRef{APIVersion: "a/b/c", Kind: "Pod", Name: "a"}, &GateCondition{Type: "Ready"}), want: "spec.rollout.gates[0].object.apiVersion"},
		"an object in a path":                    {bundle: gateOf(ObjectRef{APIVersion: "v1", Kind: "Pod", Namespace: "../x", Name: "a"}, &GateCondition{Type: "Ready"}), want: "spec.rollout.gates[0].object.namespace"},
		"a gate that asks nobody":                {bundle: BundleRollout{Gates: []RolloutGate{{Name: "errors", Metric: &MetricGate{URL: "prometheus:9090", Query: "up", Must: "== 1"}}}}, want: "spec.rollout.gates[0].metric.url"},
		"a password that everybody reads":        {bundle: BundleRollout{Gates: []RolloutGate{{Name: "errors", Metric: &MetricGate{URL: "http://a:b@prometheus", Query: "up", Must: "== 1"}}}}, want: "spec.rollout.gates[0].metric.url"},
		"no query":                               {bundle: BundleRollout{Gates: []RolloutGate{{Name: "errors", Metric: &MetricGate{URL: "http://prometheus", Must: "== 1"}}}}, want: "spec.rollout.gates[0].metric.query"},
		"a comparison with nothing":              {bundle: BundleRollout{Gates: []RolloutGate{{Name: "errors", Metric: &MetricGate{URL: "http://prometheus", Query: "up", Must: "<"}}}}, want: "spec.rollout.gates[0].metric.must"},
		"a gate that is asked all the time":      {bundle: BundleRollout{Gates: []RolloutGate{{Name: "errors", Metric: &MetricGate{URL: "http://prometheus", Query: "up", Must: "> 1", Every: &metav1.Duration{Duration: time.Second}}}}}, want: "spec.rollout.gates[0].metric.every"},
		"an answer that is waited for long":      {bundle: BundleRollout{Gates: []RolloutGate{{Name: "errors", Metric: &MetricGate{URL: "http://prometheus", Query: "up", Must: "> 1", Timeout: &metav1.Duration{Duration: time.Minute}}}}}, want: "spec.rollout.gates[0].metric.timeout"},
		"a stage's gate of the bundle's name":    {bundle: BundleRollout{Gates: []RolloutGate{{Name: "a", Metric: &MetricGate{URL: "http://prometheus", Query: "up", Must: "> 1"}}}, Stages: []RolloutStage{{Name: "a", Gates: []RolloutGate{{Name: "a", Metric: &MetricGate{URL: "http://prometheus", Query: "up", Must: "> 1"}}}}}}, want: "spec.rollout.stages[0].gates[0].name"},
		"a day that is none":                     {bundle: BundleRollout{Windows: []RolloutWindow{{Days: []Day{"Someday"}}}}, want: "spec.rollout.windows[0].days[0]"},
		"a day twice":                            {bundle: BundleRollout{Windows: []RolloutWindow{{Days: []Day{Monday, Monday}}}}, want: "spec.rollout.windows[0].days[1]"},
		"a start that no clock shows":            {bundle: BundleRollout{Windows: []RolloutWindow{{Start: "24:00"}}}, want: "spec.rollout.windows[0].start"},
		"an end that no clock shows":             {bundle: BundleRollout{Windows: []RolloutWindow{{End: "9:00"}}}, want: "spec.rollout.windows[0].end"},
		"a minute that no clock shows":           {bundle: BundleRollout{Windows: []RolloutWindow{{End: "09:60"}}}, want: "spec.rollout.windows[0].end"},
		"a window of no time":                    {bundle: BundleRollout{Windows: []RolloutWindow{{Start: "09:00", End: "09:00"}}}, want: "spec.rollout.windows[0].end"},
		"a place without clocks":                 {bundle: BundleRollout{Stages: []RolloutStage{{Name: "a", Windows: []RolloutWindow{{TimeZone: "Mars/Base"}}}}}, want: "spec.rollout.stages[0].windows[0].timeZone"},
		"the place where a member happens to be": {bundle: BundleRollout{Windows: []RolloutWindow{{TimeZone: "Local"}}}, want: "spec.rollout.windows[0].timeZone"},
		"an approval that nobody knows":          {bundle: BundleRollout{Approval: "Perhaps"}, want: "spec.rollout.approval"},
		"fewer than no failures are no limit":    {bundle: BundleRollout{MaxFailures: -1}, want: "spec.rollout.maxFailures"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &Fleet{ObjectMeta: metav1.ObjectMeta{Name: "acme"}, Spec: FleetSpec{Voters: 3, Rollout: &c.fleet}}
			b := &Bundle{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Spec: BundleSpec{Rollout: &c.bundle}}
			SetBundleDefaults(b)
			errs := append(ValidateFleet(f, "acme"), ValidateBundle(b)...)
			var fields []string
			for _, e := range errs {
				fields = append(fields, e.Field)
			}
			if got := strings.Join(fields, " "); got != c.want {
				t.Errorf("fields %q, want %q: %v", got, c.want, errs)
			}
		})
	}
}

func gateOf(o ObjectRef, c *GateCondition) BundleRollout {
	return BundleRollout{Gates: []RolloutGate{{Name: "migrated", Object: &o, Condition: c}}}
}
