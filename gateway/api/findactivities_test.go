package api_test

import (
	"net/url"
	"strings"
	"testing"
)

func (f *fixture) foundBy(who, query string) string {
	f.t.Helper()
	var ids []string
	for _, v := range f.do(who, "GET", "/activities?"+query, nil).items() {
		ids = append(ids, v["id"].(string))
	}
	return strings.Join(ids, " ")
}

func TestSingleActivitiesAreFound(t *testing.T) {
	f := newFixture(t)
	number, activity := f.mailIn(customersMail)
	for _, query := range []string{
		"q=burns", "message_id=" + url.QueryEscape("<one@customer.example>"), "message_id=one@customer.example",
		"from=CARLA@customer.example", "since=2026-11-22T10:00:00Z", "q=burns&from=carla@customer.example", "",
	} {
		for who, want := range map[string]string{"standard": activity, "informal": activity, "outsider": "", "admin": activity} {
			if got := f.foundBy(who, query); got != want {
				t.Errorf("%s finds %q by %s, want %q", who, got, query, want)
			}
		}
	}
	for _, query := range []string{"q=water", "message_id=two@customer.example", "from=support@example.test", "since=2026-11-22T10:00:01Z"} {
		if got := f.foundBy("standard", query); got != "" {
			t.Errorf("%s finds %s", query, got)
		}
	}
	f.do("standard", "GET", "/activities?since=yesterday", nil).is(422).refuses("since")
	f.do("standard", "POST", f.ticketPath(number)+"/activities/"+activity+"/hide", nil).is(200)
	for _, query := range []string{"", "q=burns", "message_id=one@customer.example", "from=carla@customer.example"} {
		if got := f.foundBy("standard", query); strings.Contains(got, activity) {
			t.Errorf("what was hidden is found by %q", query)
		}
	}
	if got := f.foundBy("admin", "message_id=one@customer.example"); got != activity {
		t.Errorf("the admin finds %q", got)
	}
}
