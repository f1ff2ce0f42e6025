"""What the people and groups of the tenant are, drawn by chance: the same for the same seed, whatever the threads do."""

import copy
import json
import random
import uuid

from tenant.model import Group, Person, get, put
from tenant.urns import BADGE, ENT, GROUP, USER

WORK_MAIL = 'emails[type eq "work"].value'

# The mapped targets that hold plain text: what a new application maps, and what administrators add.
PLAIN = [
    "displayName", "title", "nickName", "userType", "preferredLanguage", "locale", "timezone", "profileUrl",
    "name.givenName", "name.familyName", "name.formatted", "name.middleName", "name.honorificPrefix",
    ENT + ":employeeNumber", ENT + ":department", ENT + ":costCenter", ENT + ":organization", ENT + ":division",
]
# The mapped targets inside multi-valued attributes. Odd case is as the default mapping has it.
FILTERED = [
    WORK_MAIL, 'emails[type eq "other"].Value',
    'phoneNumbers[type eq "work"].value', 'phoneNumbers[type eq "mobile"].value', 'phoneNumbers[type eq "fax"].value',
    'addresses[type eq "work"].streetAddress', 'addresses[type eq "work"].locality',
    'addresses[type eq "work"].region', 'addresses[type eq "work"].country', 'addresses[type eq "work"].postalCode',
    'addresses[type eq "other"].Formatted',
]
GIVEN = ["Mara", "Åsa", "Zoë", "Jürgen", "Noémie", "Seán", "Łukasz", "Ana María", "Đorđe", "李", "さくら", "Иван",
         "Ola", "D'Arcy", "Priya", "Kwame", "Maximilian", "Straße", "Bo", "Ngọc"]
FAMILY = ["Lindqvist", "O'Neill", "Smith-Jones", "Müller", "Nguyễn", "van der Berg", "D'Angelo", "Østergård", "García",
          "王", "田中", "Петров", "Ode", "Þórsdóttir", "Khan", "Mbeki", "Bauer", "Rossi"]
WORDS = ["Optics", "Lens design", "Field service", "R&D", "Finance / Control", "Ледовая", "研究所", "Coatings \"A\"",
         "back\\slash", "Polish + Grind", "Umeå", "naïve", "100 % glass", "tab\there", "emoji 🔭", "O'Hare"]
# Every character is legal in the name of a group.
TEAMS = ["Optics Lab", "R&D", "Finance / Control", "Coatings (A)", "Lens #1", "Polish + Grind", "sg-vpn.users", "研究所",
         "Отдел кадров", "Umeå", "\"Quoted\"", "back\\slash", "100 %", "O'Hare", "Straße", "a;b,c=d", "emoji 🔭"]
# Microsoft's sample names this schema too; it must be accepted and not come back.
OLD_GROUP = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"


class Draw:
    """Everything that is left to chance.

    `matching` and `group_matching` are the attributes by which Entra is told to match; `dialect` is `a`, `b` or `both`."""

    def __init__(self, seed, matching="userName", group_matching="displayName", dialect="both"):
        self.seed = seed
        self.tag = "%06x" % (seed & 0xFFFFFF)
        self.matching = {"mail": WORK_MAIL}.get(matching, matching)
        self.group_matching = group_matching
        self.dialect = dialect

    def flag(self, dice):
        """Whether a request is made in the dialect of the flag."""
        return {"a": False, "b": True}.get(self.dialect, dice.random() < 0.5)

    def condition(self, person):
        """The filter that finds a person by the matching attribute, or by name when there is no such value."""
        value = get(person.tree, self.matching)
        attribute, value = (self.matching, value) if value else ("userName", person.name)
        return '%s eq "%s"' % (attribute, value)

    def group_condition(self, group):
        """The same for a group."""
        value = group.tree.get(self.group_matching)
        attribute, value = (self.group_matching, value) if value else ("displayName", group.name)
        return "%s eq %s" % (attribute, json.dumps(value, ensure_ascii=False))

    def dice(self, *names):
        """Chance for one step: the same for the same seed, whatever the threads do."""
        return random.Random("/".join(str(n) for n in (self.seed,) + names))

    def person(self, number):
        """What one user is in the directory of the tenant: model and POST body."""
        dice = self.dice("user", number)
        given, family = dice.choice(GIVEN), dice.choice(FAMILY)
        odd = dice.choice(["", "", "", "'", "+", "å", "-"])
        local = "u%d.%s%s" % (number, self.tag, odd)
        name = local + "@northbridge.example"
        if dice.random() < 0.05:  # a guest: #EXT# is stripped as a rule, and not always
            name = "%s_partner.example%s@northbridge.example" % (local, dice.choice(["", "#EXT#"]))
        tree = {"userName": name, "active": dice.random() > 0.03, "displayName": given + " " + family,
                "name": {"givenName": given, "familyName": family, "formatted": given + " " + family}}
        if dice.random() < 0.9 or self.matching == WORK_MAIL:
            mail = {"type": "work", "value": "%s@mail.northbridge.example" % local}
            if dice.random() < 0.8:
                mail["primary"] = True
            tree["emails"] = [mail]
        if dice.random() < 0.85:  # mailNickname: not everybody has one, and two people may share it
            tree["externalId"] = "nick-%s-%d" % (self.tag, number if number % 50 or number > 1000 else 0)
        if self.matching == "externalId":  # then it is the objectId, as a rule
            tree["externalId"] = str(uuid.UUID(int=dice.getrandbits(128)))
        for path in PLAIN[1:8] + PLAIN[11:] + FILTERED[1:]:
            if dice.random() < 0.45:
                put(tree, path, self.value(dice, path))
        if dice.random() < 0.1:
            put(tree, ENT + ":manager", {"value": str(uuid.UUID(int=dice.getrandbits(128)))})
        if dice.random() < 0.1:
            tree["roles"] = [{"primary": True, "type": "WindowsAzureActiveDirectoryRole", "value": "Reader"}]
        if dice.random() < 0.05:
            tree[BADGE] = {"badge": "B-%d" % number, "floor": 3}
        return Person(number, tree)

    def team(self, dice, number):
        """A name for a group that no other has."""
        return "%s %d-%s" % (dice.choice(TEAMS), number, self.tag)

    def group(self, number):
        """What one group is in the directory of the tenant."""
        dice = self.dice("group", number)
        tree = {"displayName": self.team(dice, number)}
        if dice.random() < 0.9 or self.group_matching == "externalId":
            tree["externalId"] = str(uuid.UUID(int=dice.getrandbits(128)))
        return Group(number, tree)

    def group_body(self, group):
        """The POST body for a group, which never has members."""
        dice = self.dice("group post", group.number)
        body = {"schemas": dice.choice([[GROUP], [GROUP, OLD_GROUP]])}
        body.update(group.tree)
        body["meta"] = {"resourceType": "Group"}
        if dice.random() < 0.3:
            body["members"] = dice.choice([[], None])
        return body

    def other_name(self, number):
        """A name for a user that nobody else ever gets."""
        dice = self.dice("other name", number)
        return "n%d.%s%s@northbridge.example" % (number, self.tag, dice.choice(["", "", "'", "+", "å", "-"]))

    @staticmethod
    def value(dice, path):
        """A value for a mapped attribute. Formats are free text in Entra's own tests."""
        word = dice.choice(WORDS)
        if "phoneNumbers" in path:
            return dice.choice(["+46 70 %07d", "+4670%07d", "tel:+46-70-%07d", "(0)90/%d x12"]) % dice.randrange(10 ** 7)
        if path == "profileUrl":
            return dice.choice(["https://people.northbridge.example/%d", "free text %d"]) % dice.randrange(10 ** 6)
        if "emails" in path:
            return "other.%d@mail.northbridge.example" % dice.randrange(10 ** 9)
        return "%s %d" % (word, dice.randrange(10 ** 6))

    def body(self, person):
        """The POST body for a person: the model with the disorder of real requests."""
        dice = self.dice("post", person.number)
        body = {"schemas": [USER, ENT] if ENT in person.tree or dice.random() < 0.5 else [USER]}
        body.update(copy.deepcopy(person.tree))
        if dice.random() < 0.1:
            body["schemas"] = [USER]  # the extension is there and not announced
        elif dice.random() < 0.1:
            body["schemas"] = [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0User"]
        for name in ("addresses", "phoneNumbers", "title", "nickName", "emails", "department", "manager"):
            if name not in body and dice.random() < 0.3:
                body[name] = None
        if "roles" not in body:
            if dice.random() < 0.5:
                body["roles"] = []
        elif dice.random() < 0.5:
            body["roles"][0]["primary"] = "True"
        manager = body.get(ENT, {}).get("manager")
        if manager and dice.random() < 0.5:
            body[ENT]["manager"] = manager["value"]
        if body["active"] is True and dice.random() < 0.1:
            del body["active"]
        elif dice.random() < 0.2:
            body["active"] = "True" if body["active"] else "False"
        body["meta"] = {"resourceType": "User"}
        if dice.random() < 0.1:
            body["shoeSize"] = 43
            body["password"] = "never-to-be-seen-%d" % person.number
        if dice.random() < 0.3:
            items = list(body.items())
            dice.shuffle(items)
            body = dict(items)
        return body

    def changes(self, person, dice):
        """A new value for some of the mapped attributes: {path: value}."""
        paths = dice.sample(PLAIN, dice.randrange(1, 7)) + dice.sample(FILTERED, dice.randrange(0, 5))
        if dice.random() < 0.3:
            paths.append("externalId")
        return {path: self.value(dice, path) if path != "externalId" else "nick-%s-x%d" % (self.tag, person.number)
                for path in paths}

    @staticmethod
    def dialect_a(tree, changes, dice):
        """One operation an attribute: Add where there was nothing, else Replace."""
        operations = []
        for path, value in changes.items():
            op = "Add" if get(tree, path) is None and dice.random() < 0.8 else "Replace"
            if path in PLAIN and ":" not in path:
                if "." not in path and dice.random() < 0.1:
                    value = [{"$ref": None, "value": value}]
                elif dice.random() < 0.1:
                    path = USER + ":" + path
            operations.append({"op": op, "path": path, "value": value})
        return operations

    @staticmethod
    def dialect_b(tree, changes, dice):
        """Filtered paths apart; everything else in one replace without a path, keyed by paths."""
        operations = [{"op": "add" if get(tree, path) is None else "replace", "path": path, "value": value}
                      for path, value in changes.items() if "[" in path]
        merged = {path: value for path, value in changes.items() if "[" not in path}
        fresh = [path for path in merged if get(tree, path) is None and ":" not in path and dice.random() < 0.5]
        added = [{"op": "add", "path": path, "value": merged.pop(path)} for path in fresh]
        if merged:
            operations.append({"op": dice.choice(["replace", "replace", "add"]), "value": merged})
        return operations + added
