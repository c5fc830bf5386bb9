# What Muster is to do: each variable is the setting of the same name in shared/settings.py, where its defaults are.
# An empty one is not set at all. Secrets are not here: see secrets.tf.

variable "authentik_url" {
  description = "AUTHENTIK_URL: base address of Authentik, without /api/v3."
  type        = string

  validation {
    condition     = can(regex("^https://[^/\\s]+(/[^\\s]*)?$", var.authentik_url)) && !strcontains(var.authentik_url, "/api/v3")
    error_message = "An address such as https://auth.example.org, with https and without /api/v3."
  }
}

variable "authentik_flow_slug" {
  description = "AUTHENTIK_FLOW_SLUG: slug of the enrollment flow, if it is not that of our blueprint."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]*$", var.authentik_flow_slug))
    error_message = "A slug has letters, digits, dashes and underscores."
  }
}

variable "authentik_default_group" {
  description = "AUTHENTIK_DEFAULT_GROUP: group (name or uuid) that every new member gets. Empty: none."
  type        = string
  default     = ""

  validation {
    condition     = trimspace(var.authentik_default_group) == var.authentik_default_group
    error_message = "A name or uuid, without blanks around it."
  }
}

variable "authentik_ca_bundle" {
  description = "AUTHENTIK_CA_BUNDLE: path, in the image, of the CA of a self-signed Authentik."
  type        = string
  default     = ""

  validation {
    condition     = var.authentik_ca_bundle == "" || startswith(var.authentik_ca_bundle, "/")
    error_message = "An absolute path in the image."
  }
}

variable "authentik_issuer" {
  description = "AUTHENTIK_ISSUER: OIDC issuer of the page, letter by letter, with its closing slash. Empty: API keys only."
  type        = string
  default     = ""

  validation {
    condition     = var.authentik_issuer == "" || can(regex("^https://[^\\s]+/$", var.authentik_issuer))
    error_message = "An issuer such as https://auth.example.org/application/o/muster/, with https and the closing slash."
  }
}

variable "authentik_client_id" {
  description = "AUTHENTIK_CLIENT_ID: client id of the page, if it is not muster-admin."
  type        = string
  default     = ""

  validation {
    condition     = !can(regex("\\s", var.authentik_client_id))
    error_message = "A client id, without blanks."
  }
}

variable "admin_group" {
  description = "ADMIN_GROUP: group whose members may use the page and the API, if it is not muster-admins."
  type        = string
  default     = ""

  validation {
    condition     = trimspace(var.admin_group) == var.admin_group
    error_message = "A name, without blanks around it."
  }
}

variable "grantable_groups" {
  description = "GRANTABLE_GROUPS: privileged groups that a form may grant all the same."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for group in var.grantable_groups : group != "" && !strcontains(group, ",")])
    error_message = "Names of groups, none of them empty or with a comma."
  }
}

variable "public_url" {
  description = "PUBLIC_URL: where people open the page, if it has an address of its own. Empty: the address that Cloud Run gives."
  type        = string
  default     = ""

  validation {
    condition     = var.public_url == "" || can(regex("^https://[^/\\s]+$", var.public_url))
    error_message = "An address such as https://muster.example.org, with https and without a path."
  }
}

variable "api_requests_per_minute" {
  description = "API_REQUESTS_PER_MINUTE: what one admin or API key may ask; more are told 429."
  type        = number
  default     = 1200

  validation {
    condition     = var.api_requests_per_minute >= 1 && var.api_requests_per_minute <= 1000000 && floor(var.api_requests_per_minute) == var.api_requests_per_minute
    error_message = "A whole number, from 1 to 1000000."
  }
}

variable "webhook_requests_per_minute" {
  description = "WEBHOOK_REQUESTS_PER_MINUTE: what one address may send to the webhook; more are told 429."
  type        = number
  default     = 3000

  validation {
    condition     = var.webhook_requests_per_minute >= 1 && var.webhook_requests_per_minute <= 1000000 && floor(var.webhook_requests_per_minute) == var.webhook_requests_per_minute
    error_message = "A whole number, from 1 to 1000000."
  }
}

variable "matrix_homeserver" {
  description = "MATRIX_HOMESERVER: client API address of the homeserver."
  type        = string

  validation {
    condition     = can(regex("^https://[^/\\s]+(/[^\\s]*)?$", var.matrix_homeserver))
    error_message = "An address such as https://matrix.example.org, with https."
  }
}

variable "matrix_user_id" {
  description = "MATRIX_USER_ID: the bot."
  type        = string

  validation {
    condition     = can(regex("^@[^:\\s]+:\\S+$", var.matrix_user_id))
    error_message = "A Matrix id such as @muster:example.org."
  }
}

variable "matrix_domain" {
  description = "MATRIX_DOMAIN: server name of the members' Matrix ids: what stands after the colon."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9.-]+(:[0-9]+)?$", var.matrix_domain))
    error_message = "A server name such as example.org, without https:// and @."
  }
}

variable "matrix_indoc_room_id" {
  description = "MATRIX_INDOC_ROOM_ID: the entry room, by id or alias. Empty: there is none."
  type        = string
  default     = ""

  validation {
    condition     = var.matrix_indoc_room_id == "" || can(regex("^(!\\S+|#[^:\\s]+:\\S+)$", var.matrix_indoc_room_id))
    error_message = "A room id such as !abc:example.org or an alias such as #indoc:example.org."
  }
}

variable "matrix_default_rooms" {
  description = "MATRIX_DEFAULT_ROOMS: rooms that every new member gets, by id or alias."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for room in var.matrix_default_rooms : can(regex("^(![^\\s,]+|#[^:\\s,]+:[^\\s,]+)$", room))])
    error_message = "Room ids such as !abc:example.org or aliases such as #news:example.org."
  }
}

variable "matrix_puppets" {
  description = "MATRIX_PUPPETS: how the ids of bridges' puppets begin, if not as usual."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for puppet in var.matrix_puppets : can(regex("^@[^,\\s]+$", puppet))])
    error_message = "Each begins with @, such as @signal_."
  }
}

variable "matrix_signal_bridge_room_id" {
  description = "MATRIX_SIGNAL_BRIDGE_ROOM_ID: the bot's management room with mautrix-signal's bot, by id or alias; empty: none."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(|![^\\s,]+|#[^:\\s,]+:[^\\s,]+)$", var.matrix_signal_bridge_room_id))
    error_message = "A room id such as !abc:example.org or an alias such as #signal:example.org."
  }
}

variable "matrix_signal_bridge_bot" {
  description = "MATRIX_SIGNAL_BRIDGE_BOT: mautrix-signal's bot, if not @signalbot of the members' domain."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^(|@[^:\\s]+:\\S+)$", var.matrix_signal_bridge_bot))
    error_message = "A Matrix id such as @signalbot:example.org."
  }
}

variable "phone_default_region" {
  description = "PHONE_DEFAULT_REGION: the country of phone numbers without a country code, such as DE; empty: they are refused."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^([A-Z]{2})?$", var.phone_default_region))
    error_message = "Two capital letters, such as DE."
  }
}

variable "matrix_ca_bundle" {
  description = "MATRIX_CA_BUNDLE: path, in the image, of the CA of a self-signed homeserver."
  type        = string
  default     = ""

  validation {
    condition     = var.matrix_ca_bundle == "" || startswith(var.matrix_ca_bundle, "/")
    error_message = "An absolute path in the image."
  }
}

variable "matrix_enable_encryption" {
  description = "MATRIX_ENABLE_ENCRYPTION: whether messages may be encrypted. Switch it on after scripts/setup matrix: before, the keys are not there."
  type        = bool
  default     = false
}

variable "matrix_membership" {
  description = "MATRIX_MEMBERSHIP: invite, or join: members are in their rooms at once. Only where the bot is an admin of the homeserver."
  type        = string
  default     = "invite"

  validation {
    condition     = contains(["invite", "join"], var.matrix_membership)
    error_message = "invite or join."
  }
}

variable "matrix_sync_device" {
  description = "Whether the bot has a device that only watches, so that a sync reads what changed. Switch it on after scripts/setup matrix has made it: before, its token is not there."
  type        = bool
  default     = false
}

variable "auto_remove_from_indoc" {
  description = "AUTO_REMOVE_FROM_INDOC: whether newcomers are taken out of INDOC."
  type        = bool
  default     = true
}

variable "indoc_leave_after_join" {
  description = "INDOC_LEAVE_AFTER_JOIN: whether newcomers stay in INDOC until they have joined a room of theirs."
  type        = bool
  default     = false
}

variable "indoc_clock" {
  description = "INDOC_CLOCK: whether who stays in INDOC is nudged after indoc_nudge_hours and removed after indoc_remove_hours."
  type        = bool
  default     = false
}

variable "indoc_nudge_hours" {
  description = "INDOC_NUDGE_HOURS: in INDOC until the nudge."
  type        = number
  default     = 20

  validation {
    condition     = var.indoc_nudge_hours > 0 && var.indoc_nudge_hours <= 8784
    error_message = "Hours, above 0 and at most 8784."
  }
}

variable "indoc_remove_hours" {
  description = "INDOC_REMOVE_HOURS: in INDOC until the removal; above indoc_nudge_hours."
  type        = number
  default     = 24

  validation {
    condition     = var.indoc_remove_hours > 0 && var.indoc_remove_hours <= 8784
    error_message = "Hours, above 0 and at most 8784."
  }
}

variable "matrix_message_notice" {
  description = "MATRIX_MESSAGE_NOTICE: what stands below each message to members that they did not ask for, such as why it came and how to stop it; empty: nothing."
  type        = string
  default     = ""

  validation {
    condition     = length(var.matrix_message_notice) <= 1000
    error_message = "At most 1,000 characters."
  }
}

variable "protected_members" {
  description = "PROTECTED_MEMBERS: Matrix ids of people whom nothing takes out of rooms but an off-boarding."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for member in var.protected_members : can(regex("^@[^:,\\s]+:[^,\\s]+$", member))])
    error_message = "Matrix ids such as @ada:example.org."
  }
}

variable "welcome_delay_seconds" {
  description = "WELCOME_DELAY_SECONDS: from the hello to the welcome."
  type        = number
  default     = 5

  validation {
    condition     = var.welcome_delay_seconds >= 0 && var.welcome_delay_seconds <= 86400
    error_message = "Seconds, from 0 to 86400."
  }
}

variable "notice_without_device" {
  description = "NOTICE_WITHOUT_DEVICE: whether who has no device after 14 days gets one notice that is not encrypted."
  type        = bool
  default     = false
}

variable "max_proactive_messages_per_day" {
  description = "MAX_PROACTIVE_MESSAGES_PER_DAY: messages to one member that nobody asked for, such as broadcasts. 0: none at all."
  type        = number
  default     = 3

  validation {
    condition     = var.max_proactive_messages_per_day >= 0 && var.max_proactive_messages_per_day <= 1000 && floor(var.max_proactive_messages_per_day) == var.max_proactive_messages_per_day
    error_message = "A whole number, from 0 to 1000."
  }
}

variable "recommend_min_score" {
  description = "RECOMMEND_MIN_SCORE: rooms below this score are not recommended."
  type        = number
  default     = 20

  validation {
    condition     = var.recommend_min_score >= 0 && var.recommend_min_score <= 100
    error_message = "A score, from 0 to 100."
  }
}

variable "recommend_max_score" {
  description = "RECOMMEND_MAX_SCORE: no recommended room gets a higher score."
  type        = number
  default     = 100

  validation {
    condition     = var.recommend_max_score >= 0 && var.recommend_max_score <= 100
    error_message = "A score, from 0 to 100."
  }
}

variable "sync_authentik_seconds" {
  description = "SYNC_AUTHENTIK_SECONDS: from one sync of Authentik's accounts to the next."
  type        = number
  default     = 300

  validation {
    condition     = var.sync_authentik_seconds >= 0 && var.sync_authentik_seconds <= 86400
    error_message = "Seconds, from 0 to 86400."
  }
}

variable "sync_matrix_seconds" {
  description = "SYNC_MATRIX_SECONDS: from one sync of the rooms and their members to the next."
  type        = number
  default     = 300

  validation {
    condition     = var.sync_matrix_seconds >= 0 && var.sync_matrix_seconds <= 86400
    error_message = "Seconds, from 0 to 86400."
  }
}

variable "sync_full_seconds" {
  description = "SYNC_FULL_SECONDS: after so long a sync reads everything anew."
  type        = number
  default     = 21600

  validation {
    condition     = var.sync_full_seconds >= 0 && var.sync_full_seconds <= 86400
    error_message = "Seconds, from 0 to 86400."
  }
}

variable "sync_cooldown_seconds" {
  description = "SYNC_COOLDOWN_SECONDS: how often an admin may ask for a sync."
  type        = number
  default     = 30

  validation {
    condition     = var.sync_cooldown_seconds >= 0 && var.sync_cooldown_seconds <= 86400
    error_message = "Seconds, from 0 to 86400."
  }
}

variable "smtp_host" {
  description = "SMTP_HOST: mail server that sends for us. Empty: e-mail is off. The others of it are needed then, and a version of SMTP_PASSWORD."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^[^\\s/@]*$", var.smtp_host))
    error_message = "A host name such as smtp.example.org, without a port."
  }
}

variable "smtp_port" {
  description = "SMTP_PORT: its port."
  type        = number
  default     = 587

  validation {
    condition     = var.smtp_port > 0 && var.smtp_port < 65536 && floor(var.smtp_port) == var.smtp_port
    error_message = "A port, from 1 to 65535."
  }
}

variable "smtp_security" {
  description = "SMTP_SECURITY: starttls, or tls: encrypted from the first byte (port 465)."
  type        = string
  default     = "starttls"

  validation {
    condition     = contains(["starttls", "tls"], var.smtp_security)
    error_message = "starttls or tls."
  }
}

variable "smtp_username" {
  description = "SMTP_USERNAME: whom Muster logs in as at the mail server."
  type        = string
  default     = ""

  validation {
    condition     = !can(regex("\\s", var.smtp_username))
    error_message = "A username, without blanks."
  }
}

variable "smtp_from" {
  description = "SMTP_FROM: whom e-mails are from."
  type        = string
  default     = ""

  validation {
    condition     = var.smtp_from == "" || can(regex("^[^@<>]*<?[^@<>\\s]+@[^@<>\\s]+\\.[^@<>\\s]+>?$", var.smtp_from))
    error_message = "An address such as Muster <muster@example.org>."
  }
}

variable "smtp_ca_bundle" {
  description = "SMTP_CA_BUNDLE: path, in the image, of the CA of a self-signed mail server."
  type        = string
  default     = ""

  validation {
    condition     = var.smtp_ca_bundle == "" || startswith(var.smtp_ca_bundle, "/")
    error_message = "An absolute path in the image."
  }
}

variable "assistant_url" {
  description = "ASSISTANT_URL: base address of an OpenAI-compatible API that suggests a line for the welcome. Empty: there is none."
  type        = string
  default     = ""

  validation {
    condition     = var.assistant_url == "" || can(regex("^https://[^/\\s]+(/[^\\s]*)?$", var.assistant_url))
    error_message = "An address such as https://api.example.org/v1, with https."
  }
}

variable "assistant_model" {
  description = "ASSISTANT_MODEL: the model that is asked. Needed with assistant_url."
  type        = string
  default     = ""

  validation {
    condition     = !can(regex("\\s", var.assistant_model)) && (var.assistant_model == "") == (var.assistant_url == "")
    error_message = "The name of a model, without blanks; and only together with assistant_url."
  }
}

variable "assistant_monthly_tokens" {
  description = "ASSISTANT_MONTHLY_TOKENS: tokens that may be used in a month."
  type        = number
  default     = 200000

  validation {
    condition     = var.assistant_monthly_tokens >= 0 && floor(var.assistant_monthly_tokens) == var.assistant_monthly_tokens
    error_message = "A whole number, from 0."
  }
}

variable "assistant_requests_per_minute" {
  description = "ASSISTANT_REQUESTS_PER_MINUTE: the limit of who provides it."
  type        = number
  default     = 20

  validation {
    condition     = var.assistant_requests_per_minute >= 1 && floor(var.assistant_requests_per_minute) == var.assistant_requests_per_minute
    error_message = "A whole number, from 1."
  }
}

variable "tracing" {
  description = "TRACING: whether spans of requests and outside calls go to Cloud Trace."
  type        = bool
  default     = false
}

variable "cost_prices" {
  description = "COST_PRICES: prices that differ from those in shared/domain/costs.py, as name to US dollars."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for name, price in var.cost_prices : can(regex("^[a-z_]+$", name)) && price >= 0])
    error_message = "Names of shared/domain/costs.py, and prices from 0 up."
  }
}

locals {
  # The environment of every function. None of it is secret, so that all have the same.
  settings = {
    AUTHENTIK_URL           = var.authentik_url
    AUTHENTIK_FLOW_SLUG     = var.authentik_flow_slug
    AUTHENTIK_DEFAULT_GROUP = var.authentik_default_group
    AUTHENTIK_CA_BUNDLE     = var.authentik_ca_bundle
    AUTHENTIK_ISSUER        = var.authentik_issuer
    AUTHENTIK_CLIENT_ID     = var.authentik_client_id
    ADMIN_GROUP             = var.admin_group
    GRANTABLE_GROUPS        = join(",", var.grantable_groups)
    PUBLIC_URL              = local.public_url

    MATRIX_HOMESERVER        = var.matrix_homeserver
    MATRIX_USER_ID           = var.matrix_user_id
    MATRIX_DOMAIN            = var.matrix_domain
    MATRIX_INDOC_ROOM_ID     = var.matrix_indoc_room_id
    MATRIX_DEFAULT_ROOMS     = join(",", var.matrix_default_rooms)
    MATRIX_PUPPETS           = join(",", var.matrix_puppets)
    MATRIX_CA_BUNDLE         = var.matrix_ca_bundle
    MATRIX_ENABLE_ENCRYPTION = tostring(var.matrix_enable_encryption)
    MATRIX_MEMBERSHIP        = var.matrix_membership
    AUTO_REMOVE_FROM_INDOC   = tostring(var.auto_remove_from_indoc)
    INDOC_LEAVE_AFTER_JOIN   = tostring(var.indoc_leave_after_join)
    INDOC_CLOCK              = var.indoc_clock ? "on" : "off"
    INDOC_NUDGE_HOURS        = tostring(var.indoc_nudge_hours)
    INDOC_REMOVE_HOURS       = tostring(var.indoc_remove_hours)
    PROTECTED_MEMBERS        = join(",", var.protected_members)
    WELCOME_DELAY_SECONDS    = tostring(var.welcome_delay_seconds)
    MATRIX_MESSAGE_NOTICE    = var.matrix_message_notice
    NOTICE_WITHOUT_DEVICE    = tostring(var.notice_without_device)
    RECOMMEND_MIN_SCORE      = tostring(var.recommend_min_score)
    RECOMMEND_MAX_SCORE      = tostring(var.recommend_max_score)

    MAX_PROACTIVE_MESSAGES_PER_DAY = tostring(var.max_proactive_messages_per_day)
    API_REQUESTS_PER_MINUTE        = tostring(var.api_requests_per_minute)
    WEBHOOK_REQUESTS_PER_MINUTE    = tostring(var.webhook_requests_per_minute)
    MATRIX_SIGNAL_BRIDGE_ROOM_ID   = var.matrix_signal_bridge_room_id
    MATRIX_SIGNAL_BRIDGE_BOT       = var.matrix_signal_bridge_bot
    PHONE_DEFAULT_REGION           = var.phone_default_region

    SYNC_AUTHENTIK_SECONDS = tostring(var.sync_authentik_seconds)
    SYNC_MATRIX_SECONDS    = tostring(var.sync_matrix_seconds)
    SYNC_FULL_SECONDS      = tostring(var.sync_full_seconds)
    SYNC_COOLDOWN_SECONDS  = tostring(var.sync_cooldown_seconds)
    SMTP_HOST              = var.smtp_host
    SMTP_PORT              = tostring(var.smtp_port)
    SMTP_SECURITY          = var.smtp_security
    SMTP_USERNAME          = var.smtp_username
    SMTP_FROM              = var.smtp_from
    SMTP_CA_BUNDLE         = var.smtp_ca_bundle


    ASSISTANT_URL                 = var.assistant_url
    ASSISTANT_MODEL               = var.assistant_model
    ASSISTANT_MONTHLY_TOKENS      = format("%d", var.assistant_monthly_tokens) # tostring would write 1e+06
    ASSISTANT_REQUESTS_PER_MINUTE = format("%d", var.assistant_requests_per_minute)

    TRACING     = var.tracing ? "cloud" : "off"
    COST_PRICES = join(",", [for name, price in var.cost_prices : "${name}=${price}"])

    MUSTER_ENV                = "production"
    MUSTER_STORE              = "firestore"
    GOOGLE_CLOUD_PROJECT      = var.project_id
    FIRESTORE_DATABASE        = google_firestore_database.muster.name
    TASKS_LOCATION            = var.region
    TASKS_QUEUE_INVITES       = google_cloud_tasks_queue.queue["invites"].name
    TASKS_QUEUE_MESSAGES      = google_cloud_tasks_queue.queue["messages"].name
    TASKS_QUEUE_BROADCASTS    = google_cloud_tasks_queue.queue["broadcasts"].name
    TASKS_QUEUE_ACCOUNTS      = google_cloud_tasks_queue.queue["accounts"].name
    TASKS_SERVICE_ACCOUNT     = google_service_account.tasks.email
    SCHEDULER_SERVICE_ACCOUNT = google_service_account.scheduler.email
    TASKS_URL_TEMPLATE        = local.url_template
  }
}
