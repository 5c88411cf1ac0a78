package gateway

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ticketgate/gateway/webhook"
	"ticketgate/outbound"
	"ticketgate/store"
)

func TestBrokenDeskFilesAreRefusedWithTheirPlace(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown field": {
			"[[channel]]\nname = \"A\"\ncolour = \"red\"\n",
			"desk.toml:3: channel.colour: there is no such key",
		},
		"kind to come": {
			"[[form]]\nname = \"A\"\n",
			"desk.toml:1: form: there is no such key",
		},
		"no TOML": {
			"[[channel]\n",
			"desk.toml:1: expected ']]' to close array table name",
		},
		"no name": {
			"[[agent]]\nemail = \"ann@example.test\"\n\n[[channel]]\nactive = true\n",
			"desk.toml:4: channel.name: is missing, or has blanks around it",
		},
		"twice": {
			"[[agent]]\nemail = \"ann@example.test\"\n[[agent]]\nemail = \"Ann@EXAMPLE.test\"\n",
			"desk.toml:4: agent.email: \"Ann@EXAMPLE.test\" stands here twice",
		},
		"no address": {
			"[[mail_account]]\naddress = \"support\"\n",
			"desk.toml:2: mail_account.address: \"support\" is no mail address",
		},
		"word": {
			"[[channel]]\nname = \"A\"\nstranger_followup = \"keep\"\n",
			"desk.toml:3: channel.stranger_followup: \"keep\" is none of hold, append, new",
		},
		"subscription": {
			"[[channel]]\nname = \"A\"\nsubscriptions = [{agent = \"ann@example.test\", type = \"loud\"}]\n",
			"desk.toml:3: channel.subscriptions: \"loud\" is none of standard, informal",
		},
		"days": {
			"[[channel]]\nname = \"A\"\nreopen_days = \"never\"\n",
			"desk.toml:3: channel.reopen_days: must be a number of days, or \"always\"",
		},
		"password in the file": {
			"[[agent]]\nemail = \"ann@example.test\"\npassword = \"hunter2\"\n",
			"desk.toml:3: agent.password: must be given as file:/path or env:NAME",
		},
		"event that webhooks are not told of": {
			"[[webhook]]\nname = \"A\"\nevents = [\"agent.notice\"]\n",
			"desk.toml:3: webhook.events: \"agent.notice\" is no event that webhooks are told of",
		},
		"secret in the file": {
			"[[webhook]]\nname = \"A\"\nsecret = \"whsec_x\"\n",
			"desk.toml:3: webhook.secret: must be given as file:/path or env:NAME",
		},
		"contact without address": {
			"[[contact]]\nname = \"Carol\"\n",
			"desk.toml:1: contact.emails: is missing: at least one address",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadDesk("desk.toml", []byte(c.text))
			if err == nil {
				t.Fatal("the file was taken")
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNamesThatTheStoreDoesNotKnowAreRefusedWithTheirPlace(t *testing.T) {
	core := testCore(t, testConfig(t))
	for text, want := range map[string]string{
		"[[channel]]\nname = \"A\"\ndefault_owner = \"bob@example.test\"\n":                                                  `desk.toml:3: channel.default_owner: there is no agent "bob@example.test"`,
		"[[channel]]\nname = \"A\"\non_incoming = \"Burning\"\n":                                                             `desk.toml:3: channel.on_incoming: there is no status "Burning"`,
		"[[channel]]\nname = \"A\"\naccount = \"a@example.test\"\n":                                                          `desk.toml:3: channel.account: there is no mail account "a@example.test"`,
		"[[channel]]\nname = \"A\"\nsubscriptions = [{agent = \"b@example.test\"}]\n":                                        `desk.toml:3: channel.subscriptions: there is no agent "b@example.test"`,
		"[[mail_account]]\naddress = \"a@example.test\"\n":                                                                   `desk.toml:1: mail_account.default_channel: is missing: an account of the type ticket needs one`,
		"[[mail_account]]\naddress = \"a@example.test\"\ndefault_channel = \"Nowhere\"\n":                                    "desk.toml:3: mail_account.default_channel: there is no channel \"Nowhere\"\ndesk.toml:3: mail_account.default_channel: is missing: an account of the type ticket needs one",
		"[[contact]]\nemails = [\"c@example.test\"]\ncompany = \"Nobody Ltd\"\n":                                             `desk.toml:3: contact.company: there is no company "Nobody Ltd"`,
		"[[company]]\nname = \"A\"\nparent = \"A\"\n":                                                                        `desk.toml:3: company.parent: there is no other company "A"`,
		"[[company]]\nname = \"A\"\nparent = \"B\"\n[[company]]\nname = \"B\"\nparent = \"A\"\n":                             `desk.toml:6: company.parent: a company can't stand above itself`,
		"[[company]]\nname = \"A\"\ndomains = [\"not a domain\"]\n":                                                          `desk.toml:3: company.domains: "not a domain" is no domain`,
		"[[status]]\nname = \"Gone\"\nclosed = true\n":                                                                       `desk.toml:3: status.closed: a closed status has the responsibility "none", and an open one has not`,
		"[[channel]]\nname = \"A\"\nstatuses = [\"New\"]\n":                                                                  `desk.toml:3: channel.statuses: invalid on_incoming: is not among the channel's statuses`,
		"[[template]]\nname = \"T\"\ntext = \"{{x}}\"\n":                                                                     `desk.toml:3: template.text: invalid text: there is no place {{x}}; there are ticket.subject, contact.name, contact.email, company.name, agent.name, ticket.number, ticket.reference, channel.name`,
		"[[template]]\nname = \"T\"\ntext = \"{{contact.name}}\"\n[[channel]]\nname = \"A\"\nacknowledge_template = \"T\"\n": `desk.toml:6: channel.acknowledge_template: template "T": invalid text: an acknowledgement repeats no word of its reader: {{contact.name}} can't stand in it`,
		"[[webhook]]\nname = \"W\"\nurl = \"http://10.0.0.1/\"\nevents = [\"ticket.created\"]\n":                             `desk.toml:3: webhook.url: invalid url: must begin with https:// (http:// is for networks that webhooks.allow names)`,
		"[[webhook]]\nname = \"W\"\nurl = \"https://example.org/\"\n":                                                        `desk.toml:1: webhook.events: is missing: at least one`,
		"[[marker]]\nname = \"Red\"\ncolour = \"red\"\n":                                                                     `desk.toml:3: marker.colour: "red" is not written as #rrggbb`,
		"[[agent]]\nemail = \"ann@example.test\"\nnotify = {owner = \"shout\"}\n":                                            `desk.toml:3: agent.notify: invalid notify.owner: must be one of mail, digest, event, none`,
		"[[mail_account]]\naddress = \"a@example.test\"\ntype = \"system\"\n[[mail_account]]\naddress = \"b@example.test\"\ntype = \"system\"\naliases = [\"a@example.test\"]\n": "desk.toml:5: mail_account.address: conflict aliases: exists already",
	} {
		file, err := ReadDesk("desk.toml", []byte(text))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		lines, err := ApplyDesk(t.Context(), core.DB, file, ApplyOptions{Seal: core.Seal})
		if err == nil {
			t.Errorf("%s: was taken: %v", text, lines)
			continue
		}
		if got, _, _ := strings.Cut(err.Error(), ": constraint"); !strings.HasPrefix(got, want) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestApplyTwiceChangesNothing(t *testing.T) {
	text, err := os.ReadFile("../../deploy/example/desk.toml")
	if err != nil {
		t.Fatal(err)
	}
	core := testCore(t, testConfig(t))
	first := applyText(t, core, string(text), ApplyOptions{})
	want := []string{
		`+ agent ann@example.test`,
		`+ company "Customer Ltd"`,
		`+ contact carol@customer.test`,
		`+ mail account support@example.test`,
		`~ channel "Support": account: "" -> "support@example.test"`,
		`~ channel "Support": subscription of ann@example.test: "" -> "standard"`,
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Error(diff)
	}
	before, err := core.DB.Desk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again := applyText(t, core, string(text), ApplyOptions{}); len(again) > 0 {
		t.Errorf("the second run changed %q", again)
	}
	after, err := core.DB.Desk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if before.Version != after.Version {
		t.Error("the second run wrote to the desk")
	}
}

func TestDryRunTellsAndChangesNothing(t *testing.T) {
	core := testCore(t, testConfig(t))
	told := applyText(t, core, deskText, ApplyOptions{DryRun: true})
	done := applyText(t, core, deskText, ApplyOptions{})
	if diff := cmp.Diff(done, told); diff != "" || len(told) == 0 {
		t.Errorf("the dry run told something else: %s", diff)
	}
}

func TestChangesAreToldFieldByField(t *testing.T) {
	core := testCore(t, testConfig(t))
	applyText(t, core, deskText, ApplyOptions{})
	got := applyText(t, core, `
[[channel]]
name = "Support"
reopen_days = 14
default_owner = "ann@example.test"
statuses = ["New", "In progress", "Answered"]
responsibilities = {Answered = "us"}
[[mail_account]]
address = "support@example.test"
plus_addressing = true
aliases = ["help@example.test"]
`, ApplyOptions{})
	want := []string{
		`~ channel "Support": reopen_days: always -> 14`,
		`~ channel "Support": default_owner: "" -> "ann@example.test"`,
		`~ channel "Support": statuses: [] -> [New, In progress, Answered]`,
		`~ channel "Support": responsibilities: map[] -> map[Answered:us]`,
		`~ mail account support@example.test: plus_addressing: false -> true`,
		`~ mail account support@example.test: aliases: [] -> [help@example.test]`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := core.Threading.Recipient(t.Context(), "help@example.test"); err != nil {
		t.Errorf("the alias is not known: %v", err)
	}
}

func TestPruneRemovesWhatIsNotNamed(t *testing.T) {
	core := testCore(t, testConfig(t))
	applyText(t, core, deskText+`
[[channel]]
name = "Sales"
[[agent]]
email = "bob@example.test"
[[company]]
name = "Old Ltd"
[[contact]]
emails = ["old@customer.test"]
[[marker]]
name = "Red"
colour = "#FF0000"
`, ApplyOptions{})
	got := applyText(t, core, deskText, ApplyOptions{Prune: true})
	want := []string{`- channel "Sales"`, `- contact old@customer.test`, `- company "Old Ltd"`, `- agent bob@example.test`, `- marker "Red"`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	desk, err := core.DB.Desk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if firstAdmin(desk) == nil || len(desk.Statuses) != 5 {
		t.Error("pruning took the last admin, or the statuses")
	}
	if again := applyText(t, core, deskText, ApplyOptions{Prune: true}); len(again) > 0 {
		t.Errorf("the second run changed %q", again)
	}
}

func TestPruneSwitchesOffWhatIsInUse(t *testing.T) {
	core := testCore(t, testConfig(t))
	applyText(t, core, deskText, ApplyOptions{})
	got := applyText(t, core, "[[channel]]\nname = \"Support\"\nsubscriptions = [{agent = \"ann@example.test\"}]\n[[agent]]\nemail = \"ann@example.test\"\n", ApplyOptions{Prune: true})
	want := []string{`~ mail account support@example.test: active: true -> false (it is in use)`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPasswordOfADeskFile(t *testing.T) {
	core := testCore(t, testConfig(t))
	t.Setenv("ANNS_PASSWORD", "correct horse")
	text := "[[agent]]\nemail = \"ann@example.test\"\npassword = \"env:ANNS_PASSWORD\"\n"
	applyText(t, core, text, ApplyOptions{})
	if again := applyText(t, core, text, ApplyOptions{}); len(again) > 0 {
		t.Errorf("the same password changed %q", again)
	}
	t.Setenv("ANNS_PASSWORD", "battery staple")
	if got := applyText(t, core, text, ApplyOptions{}); len(got) != 1 || got[0] != "~ agent ann@example.test: password: set" {
		t.Errorf("another password: %q", got)
	}
}

func TestMasterSecret(t *testing.T) {
	c := testConfig(t)
	core := testCore(t, c)
	info, err := os.Stat(filepath.Join(c.DataDir, "secret"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("secret: %v %v", info, err)
	}
	first, err := masterSecrets(c)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := masterSecrets(c); err != nil || again[0] != first[0] {
		t.Errorf("another secret at the second start: %v", err)
	}
	sealed := core.Seal.Seal("place", []byte("text"))
	rotated := *c
	rotated.Secrets = []Secret{NewSecret("a new secret of some length"), NewSecret(first[0])}
	if plain, err := testCore(t, &rotated).Seal.Open("place", sealed); err != nil || string(plain) != "text" {
		t.Errorf("a rotated secret opens nothing: %v", err)
	}
	other := *c
	other.Secrets = []Secret{NewSecret("another secret altogether")}
	if _, err := OpenCore(t.Context(), &other, CoreOptions{}); err == nil || !strings.Contains(err.Error(), "another master secret") {
		t.Errorf("a store of another secret: %v", err)
	}
	if err := os.Chmod(c.secretFile(), 0o604); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenCore(t.Context(), c, CoreOptions{}); err == nil || !strings.Contains(err.Error(), c.secretFile()+" can be read by others (mode 0604)") {
		t.Errorf("a secret that others can read: %v", err)
	}
}

// A secret that was put in front takes over: after one start the old one can be
// dropped, and what it had sealed opens all the same.
func TestTheOldSecretCanBeDropped(t *testing.T) {
	c := testConfig(t)
	old, fresh := NewSecret("the secret of the first year"), NewSecret("the secret of the second year")
	with := func(secrets ...Secret) *Core {
		t.Helper()
		next := *c
		next.Secrets = secrets
		core, err := OpenCore(t.Context(), &next, CoreOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return core
	}
	core := with(old)
	key, err := core.NewKey("example.test", "s1", "ed25519")
	if err == nil {
		err = core.DB.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.PutDKIMKey(ctx, key) })
	}
	if err != nil {
		t.Fatal(err)
	}
	applyText(t, core, hookText, ApplyOptions{})
	for _, secrets := range [][]Secret{{old, fresh}, {fresh, old}, {fresh}} {
		if err := core.Close(); err != nil {
			t.Fatal(err)
		}
		core = with(secrets...)
	}
	defer core.Close()
	err = core.DB.View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		kept, err := tx.DKIMKey(ctx, key.ID)
		if err != nil {
			return err
		}
		changed, err := outbound.ResealKey(core.Seal, &kept)
		if changed {
			t.Error("the key is not sealed under the new secret")
		}
		if err != nil {
			return err
		}
		desk, err := tx.Desk(ctx)
		if err != nil {
			return err
		}
		changed, err = webhook.ResealSecrets(core.Seal, &desk.Webhooks[0])
		if changed {
			t.Error("the webhook's secret is not sealed under the new secret")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestFirstStartHandsTheTokenOver(t *testing.T) {
	c := testConfig(t, "ADMIN_EMAIL=root@example.test")
	core := testCore(t, c)
	token := readToken(t, c)
	if err := os.Remove(c.TokenFile()); err != nil {
		t.Fatal(err)
	}
	testCore(t, c) // a second start
	if _, err := os.Stat(c.TokenFile()); err == nil {
		t.Error("the second start wrote a token that an admin had removed")
	}
	desk, err := core.DB.Desk(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	admin := firstAdmin(desk)
	if admin == nil || admin.Email != "root@example.test" || !strings.HasPrefix(token, "tg_") {
		t.Errorf("admin %+v, token of %d letters", admin, len(token))
	}
	if desk.ChannelByName("Support") == nil || desk.StatusByName("Unsuccessfully closed") == nil {
		t.Error("the first desk is not complete")
	}
}

// A start that was killed after making the desk and before the token's file.
func TestTokenIsMadeUpForAfterAKill(t *testing.T) {
	c := testConfig(t)
	core := testCore(t, c)
	first := readToken(t, c)
	err := core.DB.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error { return tx.SetMeta(ctx, metaAdminToken, "") })
	if err != nil {
		t.Fatal(err)
	}
	testCore(t, c)
	if second := readToken(t, c); second == first || !strings.HasPrefix(second, "tg_") {
		t.Error("no fresh token was written")
	}
}

func readToken(t *testing.T, c *Config) string {
	t.Helper()
	info, err := os.Stat(c.TokenFile())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("token: %v %v", info, err)
	}
	data, err := os.ReadFile(c.TokenFile())
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}
