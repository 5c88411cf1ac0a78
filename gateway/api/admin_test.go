package api_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
)

// crud takes a thing through its life: made, read, changed, refused, removed.
func (f *fixture) crud(who, path string, body, change m, field string, want any) string {
	f.t.Helper()
	made := f.do(who, "POST", path, body).is(201)
	id := made.text("id")
	at := path + "/" + id
	if made.Header().Get("Location") != "/api/v1"+at {
		f.t.Errorf("%s: Location %q", path, made.Header().Get("Location"))
	}
	listed := false
	for _, item := range f.do(who, "GET", path, nil).items() {
		listed = listed || item["id"] == id
	}
	if !listed {
		f.t.Errorf("%s: not listed", path)
	}
	f.do(who, "PATCH", at, change).is(200)
	if got := f.do(who, "GET", at, nil).is(200).json()[field]; got != want {
		f.t.Errorf("%s: %s is %v, want %v", path, field, got, want)
	}
	f.do(who, "PATCH", at, m{"no_such_field": 1}).is(422).refuses("no_such_field")
	f.do(who, "GET", path+"/01a20526-0000-7000-8000-000000000000", nil).is(404)
	return at
}

func TestLivesOfThings(t *testing.T) {
	f := newFixture(t)
	company := f.do("standard", "POST", "/companies", m{"name": "Umbrella"}).is(201).text("id")
	for _, c := range []struct {
		who, path    string
		body, change m
		field        string
		want         any
	}{
		{"admin", "/channels", m{"name": "Backend", "reopen_days": 3}, m{"reopen_days": nil, "signature": "--\nBye"}, "reopen_days", nil},
		{"admin", "/templates", m{"name": "Hello", "text": "Hello"}, m{"text": "Hi {{contact.name}}"}, "text", "Hi {{contact.name}}"},
		{"admin", "/markers", m{"name": "Red", "colour": "#FF0000"}, m{"colour": "#aa0000"}, "colour", "#aa0000"},
		{"admin", "/statuses", m{"name": "Waiting", "responsibility": "customer"}, m{"position": 9}, "position", 9.0},
		{"admin", "/mail-accounts", m{"address": "Büro@Exämple.test", "default_channel_id": f.channel, "aliases": []string{"office@example.test"}},
			m{"name": "Office", "messages_per_minute": 5}, "name", "Office"},
		{"admin", "/agents", m{"email": "new@example.test", "name": "New", "notify": m{"owner": "none"}}, m{"role": "admin"}, "role", "admin"},
		{"standard", "/contacts", m{"name": "Kim", "emails": []string{"Kim@Customer.example"}, "company_id": company},
			m{"company_id": nil, "phones": []string{"1"}}, "company_id", nil},
		{"standard", "/companies", m{"name": "Customer", "domains": []string{"Customer.example"}, "parent_id": company}, m{"parent_id": nil}, "parent_id", nil},
	} {
		at := f.crud(c.who, c.path, c.body, c.change, c.field, c.want)
		f.do("admin", "DELETE", at, nil).is(204)
		f.do("admin", "DELETE", at, nil).is(404)
		f.do("admin", "GET", at, nil).is(404)
	}
}

func TestWhatIsInUseStays(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	contact := f.do("standard", "GET", f.ticketPath(number), nil).json()["contact"].(m)["id"].(string)
	f.do("standard", "POST", f.ticketPath(number)+"/take", nil).is(200)
	company := f.do("standard", "POST", "/companies", m{"name": "Customer"}).is(201).text("id")
	f.do("standard", "PATCH", "/contacts/"+contact, m{"company_id": company}).is(200)
	for _, path := range []string{
		"/channels/" + f.channel, "/statuses/" + f.statuses["New"], "/mail-accounts/" + f.account,
		"/agents/" + f.agents["standard"], "/contacts/" + contact, "/companies/" + company,
	} {
		if r := f.do("admin", "DELETE", path, nil).is(409); r.text("reason") != "in_use" || r.text("detail") == "" {
			t.Errorf("%s: %s", path, r.Body)
		}
	}
}

func TestRefusedThings(t *testing.T) {
	f := newFixture(t)
	for _, c := range []struct {
		path  string
		body  m
		field string
	}{
		{"/channels", m{}, "name"},
		{"/channels", m{"name": "x", "default_status_id": "none"}, "default_status_id"},
		{"/channels", m{"name": "x", "default_owner_id": "none"}, "default_owner_id"},
		{"/channels", m{"name": "x", "require_dkim": "perhaps"}, "require_dkim"},
		{"/channels", m{"name": "x", "statuses": []string{"none"}}, "statuses[0]"},
		{"/channels", m{"name": "x", "statuses": []string{f.statuses["New"], f.statuses["Answered"]}}, "on_incoming"},
		{"/channels", m{"name": "x", "responsibilities": m{f.statuses["Successfully closed"]: "us"}}, "responsibilities"},
		{"/channels", m{"name": "x", "reopen_days": 1.5}, "reopen_days"},
		{"/channels", m{"name": "x", "subject_tag": nil}, "subject_tag"},
		{"/channels", m{"name": "a\nb"}, "name"},
		{"/statuses", m{"name": "x", "responsibility": "them"}, "responsibility"},
		{"/statuses", m{"closed": true}, "name"},
		{"/markers", m{"name": "Red", "colour": "red"}, "colour"},
		{"/markers", m{"colour": "#ff0000"}, "name"},
		{"/templates", m{"name": "x"}, "text"},
		{"/templates", m{"name": "x", "text": "{{nothing}}"}, "text"},
		{"/templates", m{"name": "x", "text": "x", "channel_ids": []string{"none"}}, "channel_ids[0]"},
		{"/channels", m{"name": "x", "acknowledge": m{"template_id": "none"}}, "acknowledge.template_id"},
		{"/mail-accounts", m{"address": "a@example.test"}, "default_channel_id"},
		{"/mail-accounts", m{"address": "a@example.test", "default_channel_id": "none"}, "default_channel_id"},
		{"/mail-accounts", m{"default_channel_id": f.channel}, "address"},
		{"/mail-accounts", m{"address": "A <a@example.test>", "default_channel_id": f.channel}, "address"},
		{"/mail-accounts", m{"address": "a@example.test", "default_channel_id": f.channel, "state": "ok"}, "state"},
		{"/agents", m{"name": "x"}, "email"},
		{"/agents", m{"email": "x@example.test", "role": "root"}, "role"},
		{"/agents", m{"email": "x@example.test", "notify": m{"everybody": "mail"}}, "notify"},
		{"/agents", m{"email": "x@example.test", "id": "mine"}, "id"},
		{"/contacts", m{}, "name"},
		{"/contacts", m{"name": "x", "emails": []string{"nobody"}}, "emails[0]"},
		{"/contacts", m{"name": "x", "company_id": "none"}, "company_id"},
		{"/companies", m{"name": "x", "parent_id": "none"}, "parent_id"},
		{"/companies", m{"name": "x", "domains": []string{"not a domain"}}, "domains[0]"},
		{"/dkim-keys", m{"selector": "s"}, "domain"},
		{"/dkim-keys", m{"domain": "example.test", "algorithm": "md5"}, "algorithm"},
		{"/dkim-keys", m{"domain": "example.test", "selector": "a b"}, "selector"},
		{"/dkim-keys", m{"domain": "example"}, "domain"},
		{"/tokens", m{}, "name"},
		{"/tokens", m{"name": "x", "scopes": []string{"everything"}}, "scopes[0]"},
		{"/tokens", m{"name": "x", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"},
		{"/tokens", m{"name": "x", "agent_id": "none"}, "agent_id"},
		{"/channels/" + f.channel + "/subscriptions", m{"agent_id": "none", "type": "standard"}, "agent_id"},
		{"/channels/" + f.channel + "/subscriptions", m{"agent_id": f.agents["outsider"], "type": "loud"}, "type"},
	} {
		t.Log(c.path, c.body)
		f.do("admin", "POST", c.path, c.body).is(422).refuses(c.field)
	}
	for path, body := range map[string]m{
		"/channels":      {"name": "Support"},
		"/statuses":      {"name": "New"},
		"/agents":        {"email": "STANDARD@example.test"},
		"/mail-accounts": {"address": "Support@example.test", "default_channel_id": f.channel},
	} {
		if r := f.do("admin", "POST", path, body).is(409); r.text("reason") != "duplicate" {
			t.Errorf("%s: %s", path, r.Body)
		}
	}
}

func TestAParentIsNoDescendant(t *testing.T) {
	f := newFixture(t)
	top := f.do("standard", "POST", "/companies", m{"name": "Top"}).is(201).text("id")
	sub := f.do("standard", "POST", "/companies", m{"name": "Sub", "parent_id": top}).is(201).text("id")
	f.do("standard", "PATCH", "/companies/"+top, m{"parent_id": sub}).is(422).refuses("parent_id")
	f.do("standard", "PATCH", "/companies/"+top, m{"parent_id": top}).is(422).refuses("parent_id")
}

func TestTheLastAdminStays(t *testing.T) {
	f := newFixture(t)
	at := "/agents/" + f.agents["admin"]
	f.do("admin", "PATCH", at, m{"role": "agent"}).is(409)
	f.do("admin", "PATCH", at, m{"active": false}).is(409)
	f.do("admin", "DELETE", at, nil).is(409)
	f.do("admin", "PATCH", "/agents/"+f.agents["outsider"], m{"role": "admin"}).is(200)
	f.do("admin", "PATCH", at, m{"role": "agent"}).is(200)
	f.do("admin", "POST", "/statuses", m{"name": "x"}).is(403)
}

func TestSubscriptions(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	at := "/channels/" + f.channel + "/subscriptions"
	f.do("outsider", "GET", f.ticketPath(number), nil).is(404)
	made := f.do("admin", "POST", at, m{"agent_id": f.agents["outsider"], "type": "standard"}).is(201)
	if made.text("type") != "standard" || made.Header().Get("Location") != "/api/v1"+at+"/"+f.agents["outsider"] {
		t.Errorf("made: %s %s", made.Body, made.Header())
	}
	f.do("outsider", "GET", f.ticketPath(number), nil).is(200)
	f.do("admin", "POST", at, m{"agent_id": f.agents["outsider"], "type": "informal"}).is(201)
	types := map[any]any{}
	for _, s := range f.do("standard", "GET", at, nil).items() {
		types[s["agent_id"]] = s["type"]
	}
	if types[f.agents["outsider"]] != "informal" || len(types) != 5 {
		t.Errorf("subscriptions: %v", types)
	}
	f.do("admin", "DELETE", at+"/"+f.agents["outsider"], nil).is(204)
	f.do("admin", "DELETE", at+"/"+f.agents["outsider"], nil).is(404)
	f.do("outsider", "GET", f.ticketPath(number), nil).is(404)
}

func TestAContactKeepsItsAddresses(t *testing.T) {
	f := newFixture(t)
	one := f.do("standard", "POST", "/contacts", m{"name": "Kim", "emails": []string{"kim@a.example", "KIM@a.example", "kim@b.example"}}).is(201)
	if e := one.json()["emails"].([]any); len(e) != 2 {
		t.Errorf("emails: %v", e)
	}
	if r := f.do("standard", "POST", "/contacts", m{"name": "Other", "emails": []string{"Kim@B.example"}}).is(409); r.text("reason") != "duplicate" {
		t.Errorf("a taken address: %s", r.Body)
	}
	at := "/contacts/" + one.text("id")
	f.must(f.db.Update(f.ctx, func(ctx context.Context, tx *store.Tx) error { return tx.MarkUndeliverable(ctx, "kim@a.example", true) }))
	r := f.do("standard", "PATCH", at, m{"emails": []string{"kim@c.example", "kim@a.example"}}).is(200)
	if r.json()["undeliverable"] != true {
		t.Errorf("the mark is gone: %s", r.Body)
	}
	if r := f.do("standard", "PATCH", at, m{"undeliverable": false}).is(200); r.json()["undeliverable"] != false {
		t.Errorf("the mark stays: %s", r.Body)
	}
}

func TestKeysAreMadeActivatedAndRetired(t *testing.T) {
	f := newFixture(t)
	made := f.do("admin", "POST", "/dkim-keys", m{"domain": "Example.test", "algorithm": "ed25519"}).is(201)
	if !strings.Contains(made.text("record"), `._domainkey.example.test. IN TXT "v=DKIM1; k=ed25519; p=`) ||
		made.text("state") != "new" || made.text("selector") != "tg20261122e" {
		t.Errorf("made: %s", made.Body)
	}
	if strings.Contains(made.Body.String(), "secret half") || strings.Contains(made.Body.String(), "c2VjcmV0IGhhbGY") {
		t.Errorf("the private half: %s", made.Body)
	}
	at := "/dkim-keys/" + made.text("id")
	f.do("admin", "POST", "/dkim-keys", m{"domain": "example.test", "selector": "tg20261122e"}).is(409)
	if r := f.do("admin", "POST", at+"/activate", nil).is(200); r.text("state") != "active" || r.text("activated_at") == "" {
		t.Errorf("activated: %s", r.Body)
	}
	f.do("admin", "DELETE", at, nil).is(409)
	f.do("admin", "POST", at+"/retire", nil).is(200)
	if n := len(f.do("admin", "GET", "/dkim-keys?domain=example.test", nil).items()); n != 1 {
		t.Errorf("%d keys", n)
	}
	f.do("admin", "DELETE", at, nil).is(204)
}

func TestTokens(t *testing.T) {
	f := newFixture(t)
	made := f.do("standard", "POST", "/tokens", m{"name": "script", "expires_at": "2026-11-22T11:00:00Z", "scopes": []string{"read"}}).is(201)
	plain := made.text("token")
	f.tokens["script"] = plain
	f.do("script", "GET", "/me", nil).is(200)
	f.do("script", "POST", "/tickets", m{}).is(403)
	f.do("script", "POST", "/tokens", m{"name": "wider"}).is(403)
	for _, item := range f.do("standard", "GET", "/tokens", nil).items() {
		if _, there := item["token"]; there || item["agent_id"] != f.agents["standard"] {
			t.Errorf("listed: %v", item)
		}
	}
	f.do("standard", "POST", "/tokens", m{"name": "x", "agent_id": f.agents["admin"]}).is(403)
	f.do("informal", "DELETE", "/tokens/"+made.text("id"), nil).is(404)
	f.do("admin", "POST", "/tokens", m{"name": "x", "agent_id": f.agents["informal"]}).is(201)
	f.advance(time.Hour)
	f.do("script", "GET", "/me", nil).is(401)
	f.do("standard", "DELETE", "/tokens/"+made.text("id"), nil).is(204)
	if strings.Contains(f.log.String(), plain) {
		t.Error("the token stands in the log")
	}
}

func TestQuarantine(t *testing.T) {
	f := newFixture(t)
	f.must(f.db.Update(f.ctx, func(ctx context.Context, tx *store.Tx) error {
		channel := *deskOf(ctx, t, tx).Channel(f.channel)
		channel.RequireDKIM = "quarantine"
		return tx.PutChannel(ctx, channel)
	}))
	f.service.Take(f.ctx, f.incoming(customersMail))
	f.service.Take(f.ctx, f.incoming(strangersMail))
	items := f.do("admin", "GET", "/quarantine", nil).items()
	if len(items) != 2 {
		t.Fatalf("quarantine: %v", items)
	}
	older, newer := items[1], items[0]
	for _, field := range []string{"id", "reason", "from", "to", "subject", "created_at", "auth"} {
		if newer[field] == nil {
			t.Errorf("%s is missing: %v", field, newer)
		}
	}
	at := "/quarantine/" + older["id"].(string)
	if raw := f.do("admin", "GET", at+"/raw", nil).is(200); !strings.HasSuffix(raw.Body.String(), customersMail) {
		t.Errorf("raw: %q", raw.Body)
	}
	if r := f.do("admin", "POST", at+"/release", nil).is(200); r.text("subject") != "Printer on fire" {
		t.Errorf("released: %s", r.Body)
	}
	f.do("admin", "POST", at+"/release", nil).is(404)
	f.do("admin", "POST", "/quarantine/"+newer["id"].(string)+"/delete", nil).is(200)
	if left := f.do("admin", "GET", "/quarantine", nil).items(); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func deskOf(ctx context.Context, t *testing.T, tx *store.Tx) *store.Desk {
	t.Helper()
	desk, err := tx.Desk(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return desk
}

func TestExplainStoresNothing(t *testing.T) {
	f := newFixture(t)
	r := f.do("outsider", "POST", "/explain?to=support@example.test&from=carla@customer.example", customersMail,
		"Content-Type", "message/rfc822").is(200)
	if got := r.json()["message"].(m); got["subject"] != "Printer on fire" {
		t.Errorf("explained: %s", r.Body)
	}
	if match := r.json()["match"].(m); match["outcome"] != "new" {
		t.Errorf("match: %v", match)
	}
	if all := f.do("admin", "GET", "/tickets", nil).items(); len(all) != 0 {
		t.Errorf("stored: %v", all)
	}
	f.do("outsider", "POST", "/explain?to=support@example.test", m{}).is(415)
	f.do("outsider", "POST", "/explain", "", "Content-Type", "message/rfc822").is(400)
	f.do("outsider", "POST", "/explain?as=root", customersMail, "Content-Type", "message/rfc822").is(422).refuses("as")
}
