package message

import "strings"

// The words that mail programs write around quotes, in lower case.

// deviceSure is how many of devicePhrases end a reply wherever they stand; the
// others are dropped only from its last line.
const deviceSure = 20

var devicePhrases = [...]string{
	"sent from my ", "sent from outlook", "sent from mail for", "sent from yahoo", "get outlook for",
	"gesendet von mein", "gesendet von outlook", "outlook für ", "envoyé de mon", "envoyé depuis mon",
	"envoyé à partir de outlook", "obtenir outlook pour", "enviado desde mi", "enviado do meu", "inviato da iphone",
	"verstuurd vanaf mijn", "sendt fra min", "skickat från min", "lähetetty iphone", "wysłane z iphone",
	"sent from ", "sent via ", "sent with ", "gesendet von ", "gesendet mit ", "envoyé depuis ", "inviato da ",
	"lähetetty ", "wysłane z ", "отправлено с ", "надіслано з ",
}

var lastVerbs = [...]string{
	"wrote", "schrieb", "a écrit", "a écrit ", "écrit", "escribió", "escribio", "ha scritto", "scritto", "schreef",
	"geschreven", "skrev", "skrev följande", "napisał", "napisał(a)", "napisała", "napisal", "napsal", "napsal(a)",
	"написал", "написал(а)", "написала", "пишет", "пише", "escreveu", "kirjoitti", "yazdı", "写道", "寫道", "のメール",
	"작성", "írta", "a scris", "έγραψε", "napísal", "je napisao", "skreiv", "menulis", "đã viết", "said", "writes",
}

var innerVerbs = [...]string{" schrieb ", " skrev ", " heeft ", " wrote ", " escribió ", " a écrit ", " kirjoitti ", " hat geschrieben"}

var originalPhrases = [...]string{
	"original message", "original email", "original mail", "reply message", "forwarded message", "forwarded by",
	"begin forwarded message",
	"ursprüngliche nachricht", "originalnachricht", "original-nachricht", "ursprungliche nachricht", "weitergeleitete nachricht",
	"message d'origine", "message original", "message d’origine", "message transféré", "message transmis",
	"mensaje original", "mensaje reenviado", "mensagem original", "messaggio originale", "messaggio inoltrato",
	"oorspronkelijk bericht", "doorgestuurd bericht", "oprindelig meddelelse", "oprindelig besked", "opprinnelig melding",
	"ursprungligt meddelande", "originalmeddelande", "alkuperäinen viesti", "oryginalna wiadomość", "wiadomość oryginalna",
	"wiadomość przekazana", "исходное сообщение", "пересылаемое сообщение", "původní zpráva", "eredeti üzenet",
	"mesaj original", "orijinal mesaj", "原始邮件", "原始郵件", "元のメッセージ",
}

const (
	labelNone = iota
	labelFrom
	labelOther
)

// fieldLabel tells whether a line begins with the name of a header field, in
// any of the languages that mail programs write it in.
func fieldLabel(line string) int {
	line = strings.TrimLeft(line, " *_>")
	colon := strings.IndexByte(line[:min(len(line), 40)], ':')
	if wide := strings.Index(line[:min(len(line), 40)], "："); wide > 0 && (colon < 0 || wide < colon) {
		colon = wide
	}
	if colon <= 0 {
		return labelNone
	}
	switch strings.ToLower(strings.TrimRight(line[:colon], " *_\u00a0")) {
	case "from", "von", "de", "da", "van", "från", "fra", "lähettäjä", "od", "от", "від", "expéditeur", "remitente",
		"発信者", "差出人", "发件人", "寄件者", "보낸 사람", "kimden", "feladó", "from address":
		return labelFrom
	case "copie à", "sujet", "message du", "sent", "to", "cc", "subject", "date", "reply-to", "importance",
		"gesendet", "an", "betreff", "datum", "kopie", "antwort an",
		"envoyé", "à", "objet", "envoyé le", "destinataire",
		"enviado", "enviado el", "enviada em", "enviado em", "para", "asunto", "assunto", "fecha", "data",
		"inviato", "a", "oggetto", "verzonden", "aan", "onderwerp", "skickat", "till", "ämne", "sendt", "til", "emne", "dato",
		"lähetetty", "vastaanottaja", "aihe", "päivämäärä", "wysłano", "do", "temat", "wysłane", "отправлено", "кому", "тема", "дата",
		"日時", "宛先", "件名", "发送时间", "收件人", "主题", "日期", "抄送", "날짜", "받는 사람", "제목", "gönderilme", "kime", "konu":
		return labelOther
	}
	return labelNone
}
