"""Words that say nothing of what somebody is interested in, and those that turn a wish round.

Function words and what introductions are made of, in the languages that communities write to us in. A word that an
admin has made a keyword counts all the same (see `shared.domain.recommending`). A language that is not here is
matched word by word: its small words are then looked for too, and seldom found.
"""

from __future__ import annotations

_ENGLISH = """
a about above across after afterwards again against ago all almost along already also although always am among an
and another any anybody anyone anything anyway are around as at away back be because been before being below beside
besides better between both but by came can cannot come coming could did do does doing done down during each either
else enough even ever every everybody everyone everything few first for from further get gets getting give go goes
going gone got had has have having he hello hence her here hers hey hi him his how however i if im in indeed instead
into is it its itself ive just keep kind know known last late least less let like likely lot lots made mainly make
makes making many may maybe me mean meanwhile might mine more most mostly much must my myself near nearly need
neither never new next nice no nobody none nor not nothing now of off often oh ok okay old on once one ones only
onto or other others otherwise our ours out over own pm perhaps please pretty put quite rather really recently right
said same say says see seen self several shall she should since so some somebody someone something sometimes
somewhere soon sort still stuff such take taking tell than thank thanks that the their theirs them then there these
they thing things think this those though through thus to today together too toward towards try trying under unless
until up upon us use used using usually very via want wanted wants was way we well went were what whatever when
where whether which while who whoever whole whom whose why will with within without would yeah year years yes yet
you your yours yourself am pm lol haha btw dont cant wont kinda gonna wanna ve ll
""".split()
_COMMON = """
monday mondays tuesday tuesdays wednesday wednesdays thursday thursdays friday fridays saturday saturdays sunday sundays
january february march april june july august september october november december
two three four five six seven eight nine ten home
love loves loved loving enjoy enjoys enjoying interest interests interested interesting hobby hobbies fan fans
passion passionate keen fond favourite favorite adore prefer especially particularly spend spending spare free time
weekend weekends weekday day days daily night nights evening evenings morning mornings month months week weeks
recent join joined joining find finding found look looking looks seek seeking search searching hope hoping glad
happy excited forward meet meeting met people person folks guys everybody friend friends group groups community
communities room rooms channel channels chat chats chatting server member members welcome newcomer introduce
introduction myself name names called born live lives living lived moved moving move grew city town country area
based originally play plays playing played watch watching watched learn learning learned share sharing talk talking
tell ask asking start started starting begin beginner beginners experience little big small bit bits good great best
bad cool fun amazing awesome lovely wonderful maybe hopefully basically currently
""".split()
_GERMAN = """
aber alle allem allen aller alles als also am an andere anderen auch auf aus außerdem bei beim bin bis bitte da
dabei dann das dass dem den denn der deren des dich dir doch dort du durch ein eine einem einen einer eines er es
euch euer etwas für ganz gar gern gerne gegen habe haben hab hallo hat hatte hier hin hinter ich ihm ihn ihnen ihr
ihre im in ins interessiere interessieren interessiert ist ja jeder jetzt kann kein keine keinen keiner könnte leute
leuten lieber liebe mag man manchmal mehr mein meine meinem meinen meiner mich mir mit möchte moin nach neu nicht
nichts noch nur ob oder ohne paar schon sehr sein seit servus sich sie sind so sonst spiele spielen suche suchen
über um und uns unser unter viel viele vom von vor wäre war was weil wenn wer wie will wir wird wohne woche
wochenende würde zu zum zur zusammen heiße kennenlernen freue freizeit hobbys komme gehe gehen mache machen grüß
grüße servus tag jahre
""".split()
_ROMANCE = """
ahora al algo algunas algunos amigos antes aquí así aunque bien buenas buenos busco casa cada como con contra cosas
creo cuando de del desde donde dos el ella ellas ellos en encanta encantan encantaría entre era eres es esa ese eso
esta estaba están estar este esto estoy fue gente gracias gusta gustan gustaría ha hace hacer hasta hay he hola
interesa interesan interesado la las le les llamo lo los más me mi mis mucho mucha muchas muchos muy nada ni no nos
nosotros nuestra nuestro o os otra otro para pero por porque practicar que qué quiero quien saludos se sea ser si sí
sin sobre sois sólo solo soy su sus también tan tengo tiene todo todos tu tus un una unas uno unos vivo voy y ya yo
jugar juego alors après au aussi autre aux avec beaucoup bien bonjour bonsoir ça car ce ceci cela ces cette cherche
chez comme dans depuis des dont du elle elles encore est et été être fait faire fais gens ici il ils j je jouer joue
jour jours l leur leurs lui ma mais merci mes moi moins mon ne non notre nous nouveau nouvelle on ont ou où par
parce pas passionné passionnée peu peut plus pour pourquoi quand quel quelle qui salut sans sera ses si son sont
suis sur ta te tes toi ton tous tout toute toutes très tu un une vais vie voir votre vous aime aimerais adore
appelle intéresse week abito agli ai alla alle allo anche ancora avere bene buongiorno c cerco che chi ci ciao come
cosa cui da dai dal dalla degli dei della delle dello di dopo due e ed fare fra gli grazie ha hanno ho i il io
interessa interessano la le lei lo loro lui ma mia mie mio molto ne negli nei nel nella niente noi non nostra nostro
nuova nuovo ogni per perché persone piace piacciono più poi poco qualcuno quando quella quello questa questo qui
sempre sei senza si sia siamo sono sta sto su sua sulla suo tra tutti tutto un uno va vi vivo vorrei agora ainda
alguém ao aos às até bom bem com como da das dele do dos é ela ele em eu foi fazer gosto gostaria há isso já lhe
mais mas meu minha muito na nas não nem no nos nossa novo nova num o obrigado obrigada olá os ou para pela pelo
pessoas por procuro quando que quem quero sem sou são também tenho tudo um uma você vocês adoro
""".split()
_DUTCH = """
aan al alle allemaal alles als ben bij dan dat de deze die dit doen door dus een en er ga gaan geen goed graag haar
heb hebben heeft hem het hier hij hoe hoi hou ik in is ja je jullie kan leuk maar me meer mensen met mij mijn na
naar niet niets nog nu of om omdat ook op over samen te toch toen tot uit van veel voor waar wat we weer wel wil wie
wij zij zijn zo zoek zou
""".split()
GLUE = frozenset([*_ENGLISH, *_GERMAN, *_ROMANCE, *_DUTCH])
"""They hold others together: a phrase neither begins nor ends with one."""
SMALL = GLUE | frozenset(_COMMON)
"""Glue, and what every introduction is made of: not looked for alone, but "machine learning" is."""

CONTRACTIONS = {
    "can't": "can not",
    "cant": "can not",
    "won't": "will not",
    "dont": "do not",
    "doesnt": "does not",
    "isnt": "is not",
    "arent": "are not",
    "im": "i am",
    "cannot": "can not",
}

NEUTRAL = """
no idea / no clue / no experience / no problem / no worries / no doubt / no preference / no preferences / no
matter / no one / no group / no friends / no need / no time yet / not only / not just / not sure / not afraid /
not yet / do not know / do not have / do not mind / do not speak / do not only / do not just / do not own / do
not think / does not matter / does not have / does not mind / can not live without / can not do without / can
not be without / can not imagine life without / or without / never without / not without / keine ahnung / kein
problem / keine erfahrung / nicht nur / nicht ohne / no solo / no sólo / no soy / no sé / no tengo / no hablo /
no puedo / pas seulement / pas sans / non solo / non sono / non so / non ho / non parlo
"""
"""Between slashes. They begin as a refusal does and are none. "Or without" goes on with "can't live without"."""

REFUSING = """
no / non / and not / but not / or not / please not / definitely not / nothing about / nothing with / nothing to
do with / not interested in / not into / do not / does not / did not / hate / hates / dislike / detest / loathe
/ avoid / avoiding / without / except / except for / anything but / everything but / other than / tired of /
sick of / fed up with / bored by / bored of / done with / can not stand / allergic to / not a fan of / not much
of a / not looking for / not here for / not keen on / not fond of / no more / kein / keine / keinen / keinem /
keiner / nichts mit / nicht für / nicht an / ohne / hasse / außer / bitte nicht / no me gusta / no me gustan /
no me interesa / no me interesan / nada de / sin / odio / excepto / menos / pas de / pas du / pas d / pas
intéressé par / pas intéressée par / aime pas / aime pas le / déteste / sauf / sans / non mi piace / non mi
piacciono / non mi interessa / niente / senza / não gosto de / sem / odeio / geen / niet van / zonder
"""
"""Between slashes, as they stand before what is not wanted. "Not" alone counts where a clause begins with it."""

REFUSED = """
not for me / not my thing / not my cup of tea / not so much / not really my thing / bores me / nicht / bitte
nicht / eher nicht / nein danke / non merci / no gracias / no thanks / no thank you / no grazie / i do not / not
really / not at all / nee dank je
"""
"""Between slashes, as they end what is not wanted."""

TURNING = frozenset(
    "but however although though instead rather aber sondern dafür pero sino mais plutôt ma però mas maar".split()
)
"""After these a refusal is over."""
WISHING = frozenset(
    "love like enjoy prefer adore want i we im into mag liebe ich quiero busco yo me aime adore je amo io ik".split()
)
"""A clause that has one of these says something of its own: it does not go on with a list."""
JOINING_REFUSED = frozenset("or nor oder noch ni ou nem né of".split())
"""Before the last of several that are refused; "and" may begin what is wanted."""

NAMING = """
my name is / my name s / name s / name is / i am called / call me / i am / this is / ich bin / ich heiße / ich
heisse / mein name ist / soy / me llamo / mi nombre es / je m appelle / je suis / moi c est / sono / mi chiamo /
sou / me chamo / ik ben / ik heet / is called
"""
"""Between slashes, before somebody's name."""
