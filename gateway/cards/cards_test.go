package cards_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ticketgate/gateway/cards"
	"ticketgate/store"
	"ticketgate/threading"
)

// read gives all cards of a text.
func read(t *testing.T, f cards.Format, text string) []threading.Card {
	t.Helper()
	var all []threading.Card
	for c, err := range cards.Read(f, strings.NewReader(text)) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

func TestFiles(t *testing.T) {
	type company = threading.CardCompany
	for name, c := range map[string]struct {
		format cards.Format
		text   string
		want   []threading.Card
	}{
		"columns in any order, quotes, several in a cell": {cards.CSV,
			"Phone,E-Mail,Full Name,Parent Company,Company,Company-Domain,ID,Company ID,Notes\r\n" +
				"\"+49 30 1; 0171 2\",\"a@x.example, b@x.example\",\"Ilg, \"\"Ida\"\"\",Group,Firm,x.example,E1,C1,\"two\nlines\"\r\n" +
				",,Jo,,,,,,\r\n",
			[]threading.Card{
				{Line: 2, Name: `Ilg, "Ida"`, ExternalID: "E1", Emails: []string{"a@x.example", " b@x.example"}, Phones: []string{"+49 30 1", " 0171 2"},
					Company: company{Name: "Firm", ExternalID: "C1", Domain: "x.example", Parent: "Group"}},
				{Line: 4, Name: "Jo"},
			}},
		"semicolons and a byte order mark": {cards.CSV, "\xef\xbb\xbfVorname;Nachname;E-Mail-Adresse;Firma\nÄnne;Öhm;ae@x.example;Öhm, Söhne & Co\n",
			[]threading.Card{{Line: 2, Name: "Änne Öhm", Emails: []string{"ae@x.example"}, Company: company{Name: "Öhm, Söhne & Co"}}}},
		"Google's columns": {cards.CSV, "First Name,Last Name,Organization Name,E-mail 1 - Label,E-mail 1 - Value,E-mail 2 - Value,Phone 1 - Value\n" +
			"Ida,Ilg,Firm,Work,a@x.example ::: c@x.example,b@x.example,0171 2\n",
			[]threading.Card{{Line: 2, Name: "Ida Ilg", Emails: []string{"a@x.example ", " c@x.example", "b@x.example"}, Phones: []string{"0171 2"}, Company: company{Name: "Firm"}}}},
		"broken rows": {cards.CSV, "name,email\n\"a\"b,c\nJo,jo@x.example\n\xff,x\na,b,c\na,b,\n",
			[]threading.Card{
				{Line: 2, Broken: `the row can't be read: extraneous or missing " in quoted-field`},
				{Line: 3, Name: "Jo", Emails: []string{"jo@x.example"}},
				{Line: 4, Broken: "the row is not UTF-8"},
				{Line: 5, Broken: "the row has more fields than the header row"},
				{Line: 6, Name: "a", Emails: []string{"b"}},
			}},
		"a row without end": {cards.CSV, "name,email\n\n\nA,\n\"B" + strings.Repeat("x\n", 1<<19-1) + "\nC,c@x.example\n" + strings.Repeat("\n", 2<<20) + "D,",
			[]threading.Card{
				{Line: 4, Name: "A"}, {Line: 5, Broken: "the row is larger than 1 MiB, perhaps for a quote that nothing closes; what comes behind line 524291 is read"},
				{Line: 524293, Name: "C", Emails: []string{"c@x.example"}}, {Line: 524293 + 2<<20 + 1, Name: "D"},
			}},
		"a line without end": {cards.CSV, "name\n" + strings.Repeat("x", 3<<20) + "\nD",
			[]threading.Card{{Line: 2, Broken: "the row is larger than 1 MiB, perhaps for a quote that nothing closes; what comes behind line 2 is read"}, {Line: 3, Name: "D"}}},
		"vCard 2.1": {cards.VCard, "BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=C3=96hm;=C3=84n=\r\nne\r\n" +
			"TEL;CELL;VOICE:0171 2\r\nTEL;WORK;PREF:+49 30 1\r\nEMAIL;INTERNET:ae@x.example\r\nORG;CHARSET=ISO-8859-1:\xd6hm;Sales\r\nEND:VCARD\r\n",
			[]threading.Card{{Line: 1, Name: "Änne Öhm", Emails: []string{"ae@x.example"}, Phones: []string{"+49 30 1", "0171 2"}, Company: company{Name: "Öhm"}}}},
		"vCard 3.0, folded, in a group, with a picture": {cards.VCard, "\xef\xbb\xbfBEGIN:VCARD\nVERSION:3.0\nFN:Ida\n  Ilg\nN:Ilg;Ida;;;\nitem1.EMAIL;TYPE=INTERNET:b@x.example\n" +
			"EMAIL;TYPE=INTERNET,pref:a@x.example\nORG:Firm\\; Sons\\, Co;Unit\nUID:urn:uuid:1\nPHOTO;ENCODING=b;TYPE=JPEG:AAAA\n BBBB\nEND:VCARD\n",
			[]threading.Card{{Line: 1, Name: "Ida Ilg", Emails: []string{"a@x.example", "b@x.example"}, Company: company{Name: "Firm; Sons, Co"}}}},
		"vCard 4.0": {cards.VCard, "begin:vcard\r\nVERSION:4.0\r\nFN:Jo\r\nEMAIL;PREF=2:two@x.example\r\nEMAIL;PREF=1:one@x.example\r\n" +
			"TEL;VALUE=uri;TYPE=\"voice,home\":tel:+49-30-1;ext=2\r\nEND:vcard\r\n",
			[]threading.Card{{Line: 1, Name: "Jo", Emails: []string{"one@x.example", "two@x.example"}, Phones: []string{"+49-30-1"}}}},
		"a card without an end, a group, a last one": {cards.VCard, "BEGIN:VCARD\nFN:A\n\nBEGIN:VCARD\nVERSION:4.0\nKIND:group\nFN:G\nEND:VCARD\n" +
			"BEGIN:VCARD\nVERSION:3.0\nX-ADDRESSBOOKSERVER-KIND:group\nFN:G\nEND:VCARD\nBEGIN:VCARD\nFN:L\nEND:VCARD",
			[]threading.Card{{Line: 1, Broken: "the card has no end"}, {Line: 4, Broken: "the card is no person's"}, {Line: 9, Broken: "the card is no person's"}, {Line: 14, Name: "L"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, read(t, c.format, c.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNoSuchFiles(t *testing.T) {
	for text, format := range map[string]cards.Format{"": cards.CSV, "a,b\n1,2\n": cards.CSV, "\"": cards.CSV, "name,\"" + strings.Repeat("x\n", 1<<20): cards.CSV, "FN:x\n": cards.VCard} {
		for _, err := range cards.Read(format, strings.NewReader(text)) {
			if store.CodeOf(err) != store.CodeInvalid {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
	for name, want := range map[string]cards.Format{"a.csv": cards.CSV, "A.VCF": cards.VCard, "a.txt": cards.CSV, "a.pdf": "", "csv": ""} {
		if got, err := cards.FormatOf(name); got != want || (want == "") != (err != nil) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// Whatever a file holds, each card is one of it, and the reading ends.
func FuzzRead(f *testing.F) {
	f.Add("name;email\n\"a\";b\n", true)
	f.Add("BEGIN:VCARD\nN;ENCODING=QUOTED-PRINTABLE:=\n=\nEND:VCARD\n", false)
	f.Fuzz(func(t *testing.T, text string, isCSV bool) {
		format := cards.VCard
		if isCSV {
			format = cards.CSV
		}
		n := 0
		for c, err := range cards.Read(format, strings.NewReader(text)) {
			if err == nil && (c.Line < 1 || c.Line > strings.Count(text, "\n")+1) {
				t.Errorf("a card in line %d", c.Line)
			}
			if n++; n > len(text)+1 {
				t.Fatal("more cards than text")
			}
		}
	})
}
