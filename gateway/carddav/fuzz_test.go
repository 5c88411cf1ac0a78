package carddav

import (
	"strings"
	"testing"
)

// Whatever a server answers, reading it ends, and what is handed on can be asked
// for and remembered.
func FuzzAnswer(f *testing.F) {
	f.Add(`<D:multistatus xmlns:D="DAV:"><D:response><D:href>/book/a%20b</D:href><D:propstat><D:prop><D:getetag>"1"</D:getetag></D:prop>` +
		`<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response><D:sync-token>t</D:sync-token></D:multistatus>`)
	f.Add(`<multistatus xmlns="DAV:"><response><href>/book/x</href><status>HTTP/1.1 507 x</status></response></multistatus>`)
	f.Add(`<multistatus xmlns="DAV:"><response><href>http://[::1</href><propstat><prop><c:address-data xmlns:c="urn:ietf:params:xml:ns:carddav"><![CDATA[BEGIN:VCARD]]>`)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := NewClient(ClientOptions{URL: "https://dav.example/book/"})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, err = c.read(strings.NewReader(text), func(e entry) error {
			if !usable(e.path) || !plain(e.etag) || !plain(e.syncToken) || !plain(e.ctag) {
				t.Errorf("%+v", e)
			}
			cardOf(object{text: e.card})
			return nil
		})
		if err == nil && !strings.Contains(text, "multistatus") {
			t.Errorf("%q is an answer", text)
		}
	})
}
