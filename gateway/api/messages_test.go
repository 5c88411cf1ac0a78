package api_test

import (
	"strings"
	"testing"
)

func TestMessages(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	rfc822 := []string{"Content-Type", "message/rfc822"}
	hand := func(who, query, raw string) reply { return f.do(who, "POST", "/messages"+query, raw, rfc822...) }
	other := strings.Replace(customersMail, "<one@", "<two@", 1)
	made := hand("standard", "?ticket=10001", other).is(201)
	v := made.json()
	if v["outcome"] != "append" || v["ticket"] != float64(number) || v["reference"] != "T#10001" {
		t.Errorf("%v", v)
	}
	at := strings.TrimPrefix(made.Header().Get("Location"), "/api/v1")
	if a := f.do("standard", "GET", at, nil).is(200).json(); a["source"] != "agent" || a["created_by"] != f.agents["standard"] {
		t.Errorf("%v", a)
	}
	again := hand("standard", "", other).is(200).json()
	if again["outcome"] != "duplicate" || again["activity_id"] != v["activity_id"] {
		t.Errorf("%v", again)
	}
	if hidden := hand("outsider", "", other).is(200).json(); hidden["ticket"] != nil || hidden["activity_id"] != nil {
		t.Errorf("an outsider learns %v", hidden)
	}
	hand("outsider", "?ticket=10001", other).is(404)
	hand("standard", "?ticket=99999", other).is(404)
	hand("standard", "?ticket=x", other).is(422)
	hand("standard", "?account_id=none", strings.Replace(customersMail, "<one@", "<three@", 1)).is(422).refuses("account_id")
	f.do("standard", "POST", "/messages", "{}").is(415)
	hand("standard", "", "").is(400)
}
