package gateway

import (
	"context"
	"strings"
	"testing"

	"ticketgate/store"
)

// Views of a file are everybody's, by natural names; those that agents keep for
// themselves are left alone, also where all else is pruned.
func TestApplyViews(t *testing.T) {
	core := testCore(t, testConfig(t))
	own := store.View{ID: store.NewID(), AgentID: "somebody", Shared: store.ViewNone, ViewDetail: store.ViewDetail{Name: "Mine", Filter: "{}", Sort: "-number"}}
	if err := core.DB.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.PutView(ctx, own) }); err != nil {
		t.Fatal(err)
	}
	const text = `
[[view]]
name = "Mine"
filter = { status = "New", owner = "none" }
`
	names := func(agent string) (all []string) {
		err := core.DB.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
			views, err := tx.Views(ctx, agent)
			for _, v := range views {
				all = append(all, v.Shared+" "+v.Filter)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	applyText(t, core, text, ApplyOptions{})
	got := names("anybody")
	if len(got) != 1 || !strings.HasPrefix(got[0], `all {"status_id":"`) || !strings.Contains(got[0], `"owner_id":"none"`) {
		t.Errorf("everybody has %q", got)
	}
	if again := applyText(t, core, text, ApplyOptions{}); again != nil {
		t.Errorf("the second run changed %q", again)
	}
	applyText(t, core, "", ApplyOptions{Prune: true})
	if got := names("somebody"); len(got) != 1 || got[0] != "none {}" {
		t.Errorf("left are %q", got)
	}
}

// What is wrong in a view is said with its line and key.
func TestApplyViewsThatAreWrong(t *testing.T) {
	core := testCore(t, testConfig(t))
	for text, want := range map[string]string{
		`sort = "size"`:                       "desk.toml:3: view.sort",
		`filter = { kind = "odd" }`:           "desk.toml:3: view.filter.kind",
		`filter = { channel = "Nowhere" }`:    `desk.toml:3: view.filter.channel: there is no channel "Nowhere"`,
		`filter = { field = "nothing:5" }`:    "desk.toml:3: view.filter",
		`filter = { list = "drafts" }`:        "desk.toml:3: view.filter.list",
		`filter = { channel_id = "Support" }`: "desk.toml:3",
	} {
		file, err := ReadDesk("desk.toml", []byte("[[view]]\nname = \"Odd\"\n"+text+"\n"))
		if err == nil {
			_, err = ApplyDesk(t.Context(), core.DB, file, ApplyOptions{})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
