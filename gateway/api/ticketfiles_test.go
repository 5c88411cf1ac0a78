package api_test

import (
	"fmt"
	"testing"
)

// A page of files is full where there are enough in sight, however many are hidden
// between them; an admin's shows all.
func TestPagesOfFilesAreFull(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	path := f.ticketPath(number) + "/files"
	var ids []string
	for i := range 9 {
		made := f.do("standard", "POST", path, m{"name": fmt.Sprintf("%d.txt", i), "content": b64("x")}).is(201)
		ids = append(ids, made.text("id"))
	}
	for _, i := range []int{8, 7, 6, 4, 3} {
		f.do("standard", "DELETE", path+"/"+ids[i], nil).is(204)
	}
	first := f.do("standard", "GET", path+"?limit=2", nil)
	if got := names(first); got != "5.txt 2.txt" {
		t.Errorf("the first page is %s", got)
	}
	if got := names(f.do("standard", "GET", path+"?limit=2&cursor="+first.text("next"), nil)); got != "1.txt 0.txt" {
		t.Errorf("the second page is %s", got)
	}
	if got := names(f.do("admin", "GET", path+"?limit=3", nil)); got != "8.txt 7.txt 6.txt" {
		t.Errorf("an admin's page is %s", got)
	}
}

// names gives the names of a list.
func names(r reply) (all string) {
	for i, item := range r.items() {
		if i > 0 {
			all += " "
		}
		all += item["name"].(string)
	}
	return all
}

// A refused file names the fields that were sent.
func TestARefusedFileNamesItsOwnFields(t *testing.T) {
	f := newFixture(t)
	number, _ := f.mailIn(customersMail)
	for field, body := range map[string]m{
		"content": {"name": "a"}, "name": {"name": "", "content": b64("x")}, "file_id": {"file_id": "nowhere"},
	} {
		f.do("standard", "POST", f.ticketPath(number)+"/files", body).is(422).refuses(field)
	}
}
