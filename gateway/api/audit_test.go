package api_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ticketgate/store"
)

// Each change of the desk leaves one line, and no secret.
func TestWhatIsChangedIsAudited(t *testing.T) {
	f := newFixture(t)
	b := f.logIn("admin", "User-Agent", "curl \x1b[31m")
	var want []string
	did := func(action, thing string) { want = append(want, action+" "+thing) }
	made := func(action, path string, body m) string {
		t.Helper()
		id := b.do("POST", path, body).is(201).text("id")
		did(action, path+"/"+id)
		return id
	}
	for _, c := range []struct {
		one, path   string
		body, patch m
	}{
		{"agent", "/agents", m{"email": "new@example.test"}, m{"name": "New"}},
		{"channel", "/channels", m{"name": "New"}, m{"name": "Newer"}},
		{"status", "/statuses", m{"name": "Odd"}, m{"name": "Odder"}},
		{"marker", "/markers", m{"name": "Red", "colour": "#ff0000"}, m{"name": "Redder"}},
		{"custom-field", "/custom-fields", m{"key": "serial", "name": "Serial"}, m{"name": "Number"}},
		{"template", "/templates", m{"name": "Hello", "text": "Hello"}, m{"name": "Hello again"}},
		{"calendar", "/calendars", officeHours(), m{"timezone": "Europe/Berlin"}},
		{"service-level", "/service-levels", m{"name": "Gold", "respond_minutes": 60}, m{"warn_minutes": 5}},
		{"rule", "/rules", m{"name": "New", "condition": "contact.known"}, m{"name": "Newer"}},
		{"view", "/views", m{"name": "All", "shared": "all"}, m{"name": "All of them"}},
		{"mail-account", "/mail-accounts", m{"name": "x", "address": "new-account@example.test", "type": "system"}, m{"name": "y"}},
	} {
		id := made("create-"+c.one, c.path, c.body)
		b.do("PATCH", c.path+"/"+id, c.patch).is(200)
		did("patch-"+c.one, c.path+"/"+id)
		if c.one == "agent" {
			b.do("POST", c.path+"/"+id+"/invite", nil).is(200)
			did("invite-agent", c.path+"/"+id)
			f.agents["new"] = id
			f.setTOTP("new")
			b.do("DELETE", c.path+"/"+id+"/totp", nil).is(204)
			did("remove-agents-totp", c.path+"/"+id)
		}
		b.do("DELETE", c.path+"/"+id, nil).is(204)
		did("delete-"+c.one, c.path+"/"+id)
	}
	subscription := "/channels/" + f.channel + "/subscriptions/" + f.agents["outsider"]
	b.do("POST", "/channels/"+f.channel+"/subscriptions", m{"agent_id": f.agents["outsider"], "type": "standard"}).is(201)
	did("put-subscription", subscription)
	b.do("DELETE", subscription, nil).is(204)
	did("delete-subscription", subscription)
	key := made("create-dkim-key", "/dkim-keys", m{"domain": "example.test"})
	for _, action := range []string{"activate", "retire"} {
		b.do("POST", "/dkim-keys/"+key+"/"+action, nil).is(200)
		did(action+"-dkim-key", "/dkim-keys/"+key)
	}
	b.do("DELETE", "/dkim-keys/"+key, nil).is(204)
	did("delete-dkim-key", "/dkim-keys/"+key)
	contact := b.do("POST", "/contacts", m{"name": "c"}).is(201).text("id")
	b.do("DELETE", "/contacts/"+contact, nil).is(204)
	did("delete-contact", "/contacts/"+contact)
	b.do("POST", "/contacts/import", "name\nIda\n", "Content-Type", "text/csv").is(200)
	did("import-contacts", "/contacts/import")
	company := b.do("POST", "/companies", m{"name": "c"}).is(201).text("id")
	b.do("DELETE", "/companies/"+company, nil).is(204)
	did("delete-company", "/companies/"+company)
	b.do("PATCH", "/channels/"+f.channel, m{"require_dkim": "quarantine"}).is(200)
	did("patch-channel", "/channels/"+f.channel)
	for _, action := range []string{"release", "delete"} {
		f.service.Take(f.ctx, f.incoming(strings.Replace(strangersMail, "Subject:", "Subject: "+action+" ", 1)))
		id := b.do("GET", "/quarantine", nil).items()[0]["id"].(string)
		b.do("POST", "/quarantine/"+id+"/"+action, nil).is(200)
		did(action+"-quarantined", "/quarantine/"+id)
	}
	url, _ := f.hear()
	hook := made("create-webhook", "/webhooks", m{"url": url, "events": []string{"ticket.created"}})
	b.do("PATCH", "/webhooks/"+hook, m{"name": "Chat"}).is(200)
	did("patch-webhook", "/webhooks/"+hook)
	b.do("POST", "/webhooks/"+hook+"/rotate", nil).is(200)
	did("rotate-webhook", "/webhooks/"+hook)
	message := b.do("POST", "/webhooks/"+hook+"/test", nil).is(200).text("id")
	did("test-webhook", "/webhooks/"+hook)
	b.do("POST", "/webhooks/"+hook+"/deliveries/"+message+"/retry", nil).is(200)
	did("retry-webhook-delivery", "/webhooks/"+hook+"/deliveries/"+message)
	b.do("DELETE", "/webhooks/"+hook, nil).is(204)
	did("delete-webhook", "/webhooks/"+hook)
	token := made("create-token", "/tokens", m{"name": "x"})
	b.do("DELETE", "/tokens/"+token, nil).is(204)
	did("delete-token", "/tokens/"+token)
	b.do("POST", "/me/password", m{"current": correct, "password": "another horse"}).is(200)
	did("change-password", "/agents/"+f.agents["admin"])
	secret := b.do("POST", "/me/totp", m{"current": "another horse"}).is(201).text("secret")
	did("begin-totp", "/agents/"+f.agents["admin"])
	b.do("POST", "/me/totp/confirm", m{"totp": f.typedCode(secret, 0)}).is(200)
	did("confirm-totp", "/agents/"+f.agents["admin"])
	b.do("POST", "/me/totp/remove", m{"current": "another horse"}).is(200)
	did("remove-totp", "/agents/"+f.agents["admin"])
	other := f.browser(f.tries("admin", "another horse").is(200))
	b.do("DELETE", "/sessions/"+other.session, nil).is(204)
	did("end-session", "/sessions/"+other.session)
	own := b.do("POST", "/views", m{"name": "Mine"}).is(201).text("id") // sets nothing up
	b.do("PATCH", "/views/"+own, m{"name": "My own"}).is(200)
	b.do("PATCH", "/views/"+own, m{"shared": "all"}).is(200)
	did("patch-view", "/views/"+own)
	b.do("PATCH", "/views/"+own, m{"shared": "none"}).is(200)
	did("patch-view", "/views/"+own)
	b.do("DELETE", "/views/"+own, nil).is(204)
	b.do("PATCH", "/channels/"+f.channel, m{"name": ""}).is(422) // what was refused is no change
	f.do("standard", "POST", "/channels", m{"name": "x"}).is(403)
	b.do("POST", "/logout", nil).is(204)
	did("logout", "/sessions/"+b.session)

	var got []string
	lines := f.audit("&agent_id=" + f.agents["admin"])
	slices.Reverse(lines)
	for _, l := range lines {
		if l["action"] != store.AuditLogin {
			got = append(got, l["action"].(string)+" "+l["thing"].(string))
			if l["credential"] != b.session || l["address"] != "192.0.2.1" || l["request_id"] == "" {
				t.Errorf("%v lacks who and from where: %v", l["action"], l)
			}
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log says\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	all := f.do("admin", "GET", "/audit?limit=200", nil).Body.String()
	for _, plain := range []string{correct, "another horse", secret, b.cookie} {
		if strings.Contains(all, plain) {
			t.Errorf("the log holds %q", plain)
		}
	}
	f.everyChangeIsTried(want)
}

// everyChangeIsTried asks that each operation that is audited was.
func (f *fixture) everyChangeIsTried(done []string) {
	f.t.Helper()
	for route, kind := range matrix {
		method, _, _ := strings.Cut(route, " ")
		if kind != admins || method == "GET" || route == "POST /rules/try" { // which changes nothing
			continue
		}
		id := f.operationID(route)
		if !slices.ContainsFunc(done, func(line string) bool { return strings.HasPrefix(line, id+" ") }) {
			f.t.Errorf("nobody tried %s (%s)", route, id)
		}
	}
}

func TestTheAuditLogIsReadByPagesAndFilters(t *testing.T) {
	f := newFixture(t)
	f.logIn("standard")
	f.advance(time.Minute)
	since := f.clock().Format(time.RFC3339)
	f.tries("standard", "wrong horse").is(401)
	f.tries("unknown", "wrong horse").is(401)
	var seen []string
	for cursor := ""; ; {
		r := f.do("admin", "GET", "/audit?limit=1&cursor="+cursor, nil)
		seen = append(seen, r.items()[0]["id"].(string))
		if cursor = r.text("next"); cursor == "" {
			break
		}
	}
	if slices.Sort(seen); len(slices.Compact(seen)) != 3 {
		t.Errorf("page by page: %v", seen)
	}
	for query, want := range map[string]int{
		"action=login": 1, "action=login-failed": 2, "agent_id=" + f.agents["standard"]: 1, "thing=/agents/" + f.agents["standard"]: 2,
		"since=" + since: 2, "until=" + since: 1, "action=none": 0,
	} {
		if got := len(f.do("admin", "GET", "/audit?"+query, nil).items()); got != want {
			t.Errorf("%s: %d lines, want %d", query, got, want)
		}
	}
	failed := f.do("admin", "GET", "/audit?action=login-failed", nil).items()
	if failed[0]["email"] != mailOf("unknown") || failed[0]["thing"] != "" || failed[0]["agent_id"] != nil || failed[1]["thing"] != "/agents/"+f.agents["standard"] {
		t.Errorf("failed: %v", failed)
	}
}
