//! Which elements and attributes the markup filter lets through, as of 6.1 and what came later.
//!
//! Never holds the attributes whose value is checked too: those are in `kses::rules`.

use super::Since;

/// Attributes every element of the post rules may have. `data-*` stands for a pattern.
pub(in crate::clean) static GLOBAL: &[&str] = &[
    "aria-describedby",
    "aria-details",
    "aria-hidden",
    "aria-label",
    "aria-labelledby",
    "class",
    "data-*",
    "dir",
    "id",
    "lang",
    "role",
    "style",
    "title",
    "xml:lang",
];

/// Attributes that joined [`GLOBAL`].
pub(in crate::clean) static GLOBAL_LATER: &[(&str, Since)] = &[
    ("aria-controls", (6, 3)),
    ("aria-current", (6, 3)),
    ("aria-expanded", (6, 3)),
    ("aria-live", (6, 4)),
    ("hidden", (6, 4)),
    ("tabindex", (7, 1)),
];

/// Elements of the post rules since 6.1 with their further attributes, sorted by name.
pub(in crate::clean) static POST: &[(&str, &[&str])] = &[
    ("a", &["download", "href", "name", "rel", "rev", "target"]),
    ("abbr", &[]),
    ("acronym", &[]),
    ("address", &[]),
    (
        "area",
        &["alt", "coords", "href", "nohref", "shape", "target"],
    ),
    ("article", &["align"]),
    ("aside", &["align"]),
    (
        "audio",
        &["autoplay", "controls", "loop", "muted", "preload", "src"],
    ),
    ("b", &[]),
    ("bdo", &[]),
    ("big", &[]),
    ("blockquote", &["cite"]),
    ("br", &[]),
    ("button", &["disabled", "name", "type", "value"]),
    ("caption", &["align"]),
    ("cite", &[]),
    ("code", &[]),
    (
        "col",
        &["align", "char", "charoff", "span", "valign", "width"],
    ),
    (
        "colgroup",
        &["align", "char", "charoff", "span", "valign", "width"],
    ),
    ("dd", &[]),
    ("del", &["datetime"]),
    ("details", &["align", "open"]),
    ("dfn", &[]),
    ("div", &["align"]),
    ("dl", &[]),
    ("dt", &[]),
    ("em", &[]),
    ("fieldset", &[]),
    ("figcaption", &["align"]),
    ("figure", &["align"]),
    ("font", &["color", "face", "size"]),
    ("footer", &["align"]),
    ("h1", &["align"]),
    ("h2", &["align"]),
    ("h3", &["align"]),
    ("h4", &["align"]),
    ("h5", &["align"]),
    ("h6", &["align"]),
    ("header", &["align"]),
    ("hgroup", &["align"]),
    ("hr", &["align", "noshade", "size", "width"]),
    ("i", &[]),
    (
        "img",
        &[
            "align", "alt", "border", "height", "hspace", "loading", "longdesc", "src", "usemap",
            "vspace", "width",
        ],
    ),
    ("ins", &["cite", "datetime"]),
    ("kbd", &[]),
    ("label", &["for"]),
    ("legend", &["align"]),
    ("li", &["align", "value"]),
    ("main", &["align"]),
    ("map", &["name"]),
    ("mark", &[]),
    ("menu", &["type"]),
    ("nav", &["align"]),
    ("object", &["data", "type"]),
    ("ol", &["reversed", "start", "type"]),
    ("p", &["align"]),
    ("pre", &["width"]),
    ("q", &["cite"]),
    ("rb", &[]),
    ("rp", &[]),
    ("rt", &[]),
    ("rtc", &[]),
    ("ruby", &[]),
    ("s", &[]),
    ("samp", &[]),
    ("section", &["align"]),
    ("small", &[]),
    ("span", &["align"]),
    ("strike", &[]),
    ("strong", &[]),
    ("sub", &[]),
    ("summary", &["align"]),
    ("sup", &[]),
    (
        "table",
        &[
            "align",
            "bgcolor",
            "border",
            "cellpadding",
            "cellspacing",
            "rules",
            "summary",
            "width",
        ],
    ),
    ("tbody", &["align", "char", "charoff", "valign"]),
    (
        "td",
        &[
            "abbr", "align", "axis", "bgcolor", "char", "charoff", "colspan", "headers", "height",
            "nowrap", "rowspan", "scope", "valign", "width",
        ],
    ),
    (
        "textarea",
        &["cols", "disabled", "name", "readonly", "rows"],
    ),
    ("tfoot", &["align", "char", "charoff", "valign"]),
    (
        "th",
        &[
            "abbr", "align", "axis", "bgcolor", "char", "charoff", "colspan", "headers", "height",
            "nowrap", "rowspan", "scope", "valign", "width",
        ],
    ),
    ("thead", &["align", "char", "charoff", "valign"]),
    ("title", &[]),
    ("tr", &["align", "bgcolor", "char", "charoff", "valign"]),
    ("track", &["default", "kind", "label", "src", "srclang"]),
    ("tt", &[]),
    ("u", &[]),
    ("ul", &["type"]),
    ("var", &[]),
    (
        "video",
        &[
            "autoplay",
            "controls",
            "height",
            "loop",
            "muted",
            "playsinline",
            "poster",
            "preload",
            "src",
            "width",
        ],
    ),
];

/// Elements that joined the post rules with 6.9, sorted by name.
pub(in crate::clean) static POST_6_9: &[(&str, &[&str])] = &[
    ("data", &["value"]),
    ("dialog", &["closedby", "open", "popover"]),
    ("meter", &["high", "low", "max", "min", "optimum", "value"]),
    ("progress", &["max", "value"]),
    ("search", &[]),
    ("time", &["datetime"]),
    ("wbr", &[]),
];

/// Formula elements, which joined with 6.9 too, sorted by name; all of them also have [`FORMULA_GLOBAL`].
pub(in crate::clean) static FORMULA: &[(&str, &[&str])] = &[
    ("annotation", &["encoding"]),
    ("math", &["display"]),
    ("menclose", &["notation"]),
    ("merror", &[]),
    ("mfrac", &["linethickness"]),
    ("mi", &["mathvariant"]),
    ("mmultiscripts", &[]),
    ("mn", &[]),
    (
        "mo",
        &[
            "fence",
            "form",
            "largeop",
            "lspace",
            "maxsize",
            "minsize",
            "movablelimits",
            "rspace",
            "separator",
            "stretchy",
            "symmetric",
        ],
    ),
    ("mover", &["accent", "accentunder"]),
    (
        "mpadded",
        &["depth", "height", "lspace", "voffset", "width"],
    ),
    ("mphantom", &[]),
    ("mprescripts", &[]),
    ("mroot", &[]),
    ("mrow", &[]),
    ("ms", &[]),
    ("mspace", &["depth", "height", "width"]),
    ("msqrt", &[]),
    ("mstyle", &[]),
    ("msub", &[]),
    ("msubsup", &[]),
    ("msup", &[]),
    (
        "mtable",
        &[
            "align",
            "columnalign",
            "columnlines",
            "columnspacing",
            "frame",
            "framespacing",
            "rowalign",
            "rowlines",
            "rowspacing",
            "width",
        ],
    ),
    ("mtd", &["columnalign", "columnspan", "rowalign", "rowspan"]),
    ("mtext", &[]),
    ("mtr", &["columnalign", "rowalign"]),
    ("munder", &["accent", "accentunder"]),
    ("munderover", &["accent", "accentunder"]),
    ("semantics", &[]),
];

/// Attributes every formula element may have.
pub(in crate::clean) static FORMULA_GLOBAL: &[&str] = &[
    "displaystyle",
    "mathbackground",
    "mathcolor",
    "mathsize",
    "scriptlevel",
];

/// Attributes that elements of [`POST`] and [`POST_6_9`] gained later.
pub(in crate::clean) static POST_LATER: &[(&str, &[&str], Since)] = &[
    (
        "button",
        &["aria-haspopup", "popovertarget", "popovertargetaction"],
        (6, 9),
    ),
    ("button", &["command", "commandfor"], (7, 1)),
    ("details", &["name"], (6, 9)),
    ("dialog", &["autofocus"], (7, 1)),
    ("div", &["popover"], (6, 9)),
    ("ul", &["popover"], (6, 9)),
];

/// Elements and attributes of the rules for names, sorted by name; a profile description may have more.
pub(in crate::clean) static DATA: &[(&str, &[&str])] = &[
    ("a", &["href", "title"]),
    ("abbr", &["title"]),
    ("acronym", &["title"]),
    ("b", &[]),
    ("blockquote", &["cite"]),
    ("cite", &[]),
    ("code", &[]),
    ("del", &["datetime"]),
    ("em", &[]),
    ("i", &[]),
    ("q", &["cite"]),
    ("s", &[]),
    ("strike", &[]),
    ("strong", &[]),
];

/// Attributes whose value is an address, sorted.
pub(in crate::clean) static ADDRESSES: &[&str] = &[
    "action",
    "archive",
    "background",
    "cite",
    "classid",
    "codebase",
    "data",
    "formaction",
    "href",
    "icon",
    "longdesc",
    "manifest",
    "poster",
    "profile",
    "src",
    "usemap",
    "xmlns",
];

/// Protocols an address may have.
pub(in crate::clean) static PROTOCOLS: &[&str] = &[
    "http", "https", "ftp", "ftps", "mailto", "news", "irc", "irc6", "ircs", "gopher", "nntp",
    "feed", "telnet", "mms", "rtsp", "sms", "svn", "tel", "fax", "xmpp", "webcal", "urn",
];
