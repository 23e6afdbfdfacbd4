package drill

import "testing"

func TestAFleetOfThreeRegions(t *testing.T) {
	t.Parallel()
	f := newField(t, 3, 1)
	t.Run("stock kubectl speaks to the fleet", func(t *testing.T) { stockKubectl(t, f) })
	t.Run("the fleet is in every cluster", func(t *testing.T) { inEveryCluster(t, f) })
	t.Run("a person reaches every cluster through any member", func(t *testing.T) { acrossClusters(t, f) })
	t.Run("a member does not harm its cluster", func(t *testing.T) { unharmed(t, f) })
	t.Run("a member needs no rights but those that are told", func(t *testing.T) { leastRights(t, f) })
	t.Run("the fleet is taken out of a cluster", func(t *testing.T) { takenOut(t, f) })
	t.Run("a sealed secret is where it may be read", func(t *testing.T) { aSealedSecret(t, f) })
	t.Run("a large install comes and goes", func(t *testing.T) { aLargeInstall(t, f) })
	t.Run("two of three regions die", func(t *testing.T) { losingTwoRegions(t, f) })
	t.Run("a cluster refuses", func(t *testing.T) { refusingOne(t, f) })
	t.Run("a kubeconfig is mistaken", func(t *testing.T) { mistakenKubeconfig(t, f) })
	f.must(t, "fra", shop("1"), applyShop("--wait")...)
	t.Run("the leader loses its disk", func(t *testing.T) { losingADisk(t, f, f.status(t, "fra").Leader, "1") })
	t.Run("the majority is lost for good", func(t *testing.T) { recovering(t, f) })
	t.Run("every member is lost", func(t *testing.T) { restoring(t, f) })
	t.Run("a member is removed", func(t *testing.T) { removingOne(t, f) })
}
