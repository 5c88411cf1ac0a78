package gateway

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ticketgate/gateway/webhook"
)

const hookText = `
[[webhook]]
name = "chat"
url = "https://chat.example/hook"
events = ["ticket.created"]
`

func TestWebhooksOfADeskFile(t *testing.T) {
	core := testCore(t, testConfig(t))
	secret := func(i int) string {
		desk, err := core.DB.Desk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		plain, err := webhook.OpenSecret(core.Seal, desk.Webhooks[0].ID, desk.Webhooks[0].Secrets[i])
		if err != nil {
			t.Fatal(err)
		}
		return plain
	}
	applyText(t, core, hookText, ApplyOptions{})
	ours := secret(0)
	if err := webhook.CheckSecret(ours); err != nil {
		t.Error(err)
	}
	given := webhook.NewSecret()
	t.Setenv("CHAT_SECRET", given)
	text := hookText + "channels = [\"Support\"]\nsecret = \"env:CHAT_SECRET\"\n"
	want := []string{`~ webhook "chat": channels: [] -> [Support]`, `~ webhook "chat": secret: set`}
	if diff := cmp.Diff(want, applyText(t, core, text, ApplyOptions{})); diff != "" {
		t.Error(diff)
	}
	if secret(0) != given || secret(1) != ours {
		t.Error("the file's secret does not stand before ours")
	}
	if again := applyText(t, core, text, ApplyOptions{}); again != nil {
		t.Errorf("the second run changed %q", again)
	}
	if again := applyText(t, core, hookText, ApplyOptions{}); again != nil || secret(0) != given {
		t.Errorf("what the file leaves out changed: %q", again)
	}
}

// One thing of every kind, and each of them changed.
const (
	everyKind = `
[[status]]
name = "Waiting"
responsibility = "customer"
[[marker]]
name = "Red"
colour = "#ff0000"
[[template]]
name = "Hello"
text = "Hello"
[[custom_field]]
key = "serial"
name = "Serial"
[[rule]]
name = "Invoices"
condition = 'message.subject == "Invoice"'
actions = { add_tags = ["invoice"] }
[[calendar]]
name = "Office"
hours = { mon = ["09:00-17:00"] }
[[service_level]]
name = "Gold"
respond_minutes = 60
calendar = "Office"
manager = "bob@example.test"
[[channel]]
name = "Sales"
subscriptions = [{agent = "bob@example.test"}]
[[mail_account]]
address = "sales@example.test"
default_channel = "Sales"
[[agent]]
email = "bob@example.test"
name = "Bob"
[[company]]
name = "Ltd"
domains = ["customer.test"]
[[contact]]
emails = ["carol@customer.test"]
name = "Carol"
company = "Ltd"
[[webhook]]
name = "chat"
url = "https://chat.example/hook"
events = ["ticket.created"]
[[view]]
name = "Bob's"
filter = { owner = "bob@example.test", channel = "Sales", company = "Ltd", marker = "Red", open = true, field = "serial:47" }
sort = "-priority"
`
	everyChange = `
[[status]]
name = "Waiting"
responsibility = "us"
[[marker]]
name = "Red"
colour = "#fe0000"
[[template]]
name = "Hello"
text = "Hello again"
[[custom_field]]
key = "serial"
name = "Serial number"
[[rule]]
name = "Invoices"
condition = 'message.subject == "Invoice"'
actions = { add_tags = ["bill"] }
[[calendar]]
name = "Office"
hours = { mon = ["08:00-17:00"] }
holidays = ["12-25"]
[[service_level]]
name = "Gold"
respond_minutes = 30
[[channel]]
name = "Sales"
reopen_days = 3
service_level = "Gold"
escalation = { after_minutes = 120, to_channel = "Support", notify = ["bob@example.test"] }
subscriptions = [{agent = "bob@example.test", type = "informal"}]
[[mail_account]]
address = "sales@example.test"
aliases = ["shop@example.test"]
[[agent]]
email = "bob@example.test"
name = "Robert"
notify = {owner = "event"}
[[company]]
name = "Ltd"
domains = ["customer.test", "client.test"]
service_level = "Gold"
[[contact]]
emails = ["carol@customer.test", "carol@client.test"]
phones = ["+49301"]
service_level = "Gold"
[[webhook]]
name = "chat"
url = "https://chat.example/other"
events = ["ticket.created", "delivery.changed"]
[[view]]
name = "Bob's"
filter = { owner = "none", status = "Waiting", contact = "carol@client.test", created_since = 2026-11-25T10:00:00+01:00 }
position = 3
`
)

// What a dry run tells is what a run does, of every kind that a file can hold:
// made, changed, left alone, and taken away.
func TestDryRunOfEveryKind(t *testing.T) {
	core := testCore(t, testConfig(t))
	for _, step := range []struct {
		name, text, mark string
		prune            bool
	}{
		{"made", everyKind, "+ ", false},
		{"changed", everyChange, "~ ", false},
		{"left alone", everyChange, "", false},
		{"taken away", "", "- ", true},
	} {
		before, err := core.DB.Desk(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		told := applyText(t, core, step.text, ApplyOptions{DryRun: true, Prune: step.prune})
		after, err := core.DB.Desk(t.Context())
		if err != nil || after.Version != before.Version {
			t.Errorf("%s: the dry run wrote to the desk: %v", step.name, err)
		}
		done := applyText(t, core, step.text, ApplyOptions{Prune: step.prune})
		if diff := cmp.Diff(done, told); diff != "" {
			t.Errorf("%s: the dry run told something else: %s", step.name, diff)
		}
		if again := applyText(t, core, step.text, ApplyOptions{DryRun: true, Prune: step.prune}); len(again) > 0 {
			t.Errorf("%s: once more would change %q", step.name, again)
		}
		for _, kind := range kindsOfAFile() {
			named := slices.ContainsFunc(told, func(line string) bool {
				return strings.HasPrefix(strings.ReplaceAll(line, "_", " "), step.mark+kind+" ")
			})
			keeps := step.prune && kind == "status" // no desk works without
			if step.mark != "" && named == keeps {
				t.Errorf("%s: nothing is told of a %s, or too much: %q", step.name, kind, told)
			}
		}
	}
}

// kindsOfAFile gives the kinds that a desk file can hold, as lines name them: a
// kind that is new has to stand in the two texts above.
func kindsOfAFile() (kinds []string) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[DeskFile]()) {
		if name := field.Tag.Get("toml"); name != "" {
			kinds = append(kinds, strings.ReplaceAll(name, "_", " "))
		}
	}
	return kinds
}
