package carddav

import (
	"context"
	"strings"
	"testing"

	"ticketgate/deploy/testbed"
	"ticketgate/store"
)

// A real server's address books become contacts; what changes there changes here,
// and who vanishes there stays.
func TestRadicale(t *testing.T) {
	r, server := newRig(t), testbed.Radicale(t)
	one, two := server.Book("one"), server.Book("two")
	server.Put(one+"ida%20ilg.vcf", vcard("Ida Ilg", "EMAIL:ida@x.example", "TEL:030 1", "ORG:Firm;Unit"))
	server.Put(one+"kim.vcf", vcard("Kim & <Co>", "EMAIL:kim@x.example"))
	server.Put(two+"bad.vcf", vcard("Bad", "EMAIL:nonsense"))
	s := r.source(ClientOptions{URL: server.Login()})

	books, err := s.opt.Client.Books(t.Context())
	if err != nil || len(books) != 2 || !strings.HasPrefix(books[0].Mark, syncMark) || !strings.HasPrefix(books[1].Mark, syncMark) {
		t.Errorf("address books %v, %v", books, err)
	}
	r.wantRound(r.round(s), "2 added, 0 changed, 0 unchanged; an address is no e-mail address")
	r.wantContacts("Ida Ilg <ida@x.example> 030 1 @Firm, Kim & <Co> <kim@x.example>")
	r.wantRound(r.round(s), "") // not due
	r.wantRound(r.later(s), "0 added, 0 changed, 0 unchanged")

	server.Put(one+"ida%20ilg.vcf", vcard("Ida Ilg", "EMAIL:ilg@y.example", "TEL:030 1", "ORG:Other"))
	server.Put(two+"bad.vcf", vcard("Bad", "EMAIL:good@x.example"))
	server.Delete(one + "kim.vcf")
	r.wantRound(r.later(s), "1 added, 1 changed, 0 unchanged")
	r.wantContacts("Ida Ilg <ida@x.example> <ilg@y.example> 030 1 @Other, Kim & <Co> <kim@x.example>, Bad <good@x.example>")

	server.Stop()
	if got := r.later(s); !strings.Contains(got, "failed: ") || !strings.Contains(got, "connection refused") || strings.Contains(got, server.Password()) {
		t.Errorf("with the server gone: %s", got)
	}
	server.Start()
	server.Put(two+"jo.vcf", vcard("Jo", "TEL:030 7"))
	r.wantRound(r.later(s), "1 added, 0 changed, 0 unchanged")
	server.Put(two+"jo.vcf", vcard("Jo", "TEL:030 8"))
	r.wantRound(r.later(s), "0 added, 1 changed, 0 unchanged")
	r.wantContacts("Ida Ilg <ida@x.example> <ilg@y.example> 030 1 @Other, Kim & <Co> <kim@x.example>, Bad <good@x.example>, Jo 030 7 030 8")
}

// The URL may name one address book; another URL is another source, and begins
// from nothing.
func TestRadicaleOneBook(t *testing.T) {
	r, server := newRig(t), testbed.Radicale(t)
	one, two := server.Book("one"), server.Book("two")
	server.Put(one+"ida.vcf", vcard("Ida"))
	server.Put(two+"kim.vcf", vcard("Kim"))
	r.wantRound(r.round(r.source(ClientOptions{URL: server.Login() + one})), "1 added, 0 changed, 0 unchanged")
	r.wantContacts("Ida")
	r.wantRound(r.round(r.source(ClientOptions{URL: server.Login() + strings.TrimSuffix(two, "/")})), "1 added, 0 changed, 0 unchanged")
	r.wantContacts("Ida, Kim")
	for url, want := range map[string]string{
		server.Login() + "/desk/none/":                  "failed: status 404",
		server.URL() + one:                              "failed: status 401",
		strings.Replace(server.Login(), "desk", "x", 1): "failed: the user's address books can't be found: 401",
	} {
		if got := r.later(r.source(ClientOptions{URL: url})); !strings.Contains(got, want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Whom somebody deletes or erases here comes back when the card changes, and not
// before.
func TestRadicaleDeletedHere(t *testing.T) {
	r, server := newRig(t), testbed.Radicale(t)
	book := server.Book("one")
	server.Put(book+"ida.vcf", vcard("Ida", "EMAIL:ida@x.example"))
	s := r.source(ClientOptions{URL: server.Login()})
	r.round(s)
	err := r.db.Update(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		ida, err := tx.ContactByKey(ctx, "ida@x.example")
		if err != nil {
			return err
		}
		return tx.DeleteContact(ctx, ida.ID)
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Put(book+"kim.vcf", vcard("Kim"))
	r.wantRound(r.later(s), "1 added, 0 changed, 0 unchanged")
	r.wantContacts("Kim")
	server.Put(book+"ida.vcf", vcard("Ida", "EMAIL:ida@x.example", "NOTE:x"))
	r.wantRound(r.later(s), "1 added, 0 changed, 0 unchanged")
	r.wantContacts("Kim, Ida <ida@x.example>")
}
