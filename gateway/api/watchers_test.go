package api_test

import (
	"testing"
)

func TestWatchers(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	path := f.ticketPath(number) + "/watchers"
	f.do("standard", "POST", path, m{"agent_id": f.agents["informal"]}).is(201)
	f.do("standard", "POST", path, m{"agent_id": f.agents["informal"]}).is(201) // as if it were the first
	f.do("standard", "POST", path, m{"agent_id": f.agents["outsider"]}).is(422).refuses("agent_id")
	f.do("standard", "POST", path, m{"agent_id": f.agents["inactive"]}).is(422).refuses("agent_id")
	f.do("standard", "POST", path, m{"agent_id": "none"}).is(422).refuses("agent_id")
	if items := f.do("standard", "GET", path, nil).items(); len(items) != 1 || items[0]["name"] != "informal" {
		t.Errorf("the watchers are %v", items)
	}
	ticket := f.do("standard", "GET", f.ticketPath(number), nil).json()
	if ids := ticket["watchers"].([]any); len(ids) != 1 || ids[0] != f.agents["informal"] {
		t.Errorf("the ticket names %v", ids)
	}
	if items := f.do("informal", "GET", "/tickets?list=my", nil).items(); len(items) != 1 {
		t.Errorf("what he watches is not among his: %v", items)
	}
	f.do("informal", "DELETE", path+"/"+f.agents["informal"], nil).is(204)
	f.do("informal", "DELETE", path+"/"+f.agents["informal"], nil).is(404)
	made := f.do("standard", "POST", "/tickets", m{"kind": "internal", "channel_id": f.channel, "subject": "x", "text": "x",
		"watchers": []string{f.agents["informal"]}}).is(201).json()
	if ids := made["watchers"].([]any); len(ids) != 1 {
		t.Errorf("the new ticket names %v", ids)
	}
	f.do("standard", "POST", "/tickets", m{"kind": "internal", "channel_id": f.channel, "subject": "x", "text": "x",
		"watchers": []string{f.agents["outsider"]}}).is(422).refuses("watchers[0]")
}

func TestAgentsOwnChoices(t *testing.T) {
	f := newFixture(t)
	me := f.do("standard", "PATCH", "/me", m{"notify": m{"subscriber": "relevant", "owner": "digest"}, "timezone": "Europe/Berlin"}).is(200).json()
	if n := me["notify"].(m); n["subscriber"] != "relevant" || n["owner"] != "digest" || me["timezone"] != "Europe/Berlin" || me["actions"] == nil {
		t.Errorf("%v", me)
	}
	if again := f.do("admin", "GET", "/agents/"+f.agents["standard"], nil).json(); again["timezone"] != "Europe/Berlin" {
		t.Errorf("%v", again)
	}
	f.do("standard", "PATCH", "/me", m{"notify": m{"owner": "relevant"}}).is(422).refuses("notify.owner")
	f.do("standard", "PATCH", "/me", m{"notify": m{"boss": "mail"}}).is(422).refuses("notify")
	f.do("standard", "PATCH", "/me", m{"timezone": "Mars/Base"}).is(422).refuses("timezone")
	f.do("standard", "PATCH", "/me", m{"role": "admin"}).is(422) // W03
	if me := f.do("standard", "PATCH", "/me", m{"notify": nil}).is(200).json(); len(me["notify"].(m)) != 0 {
		t.Errorf("%v", me)
	}
}
