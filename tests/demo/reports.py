# SPDX-License-Identifier: MIT
"""Malaria test data as states' offices upload it, made up: quarterly reports of each facility, as CSV.

The names of the local government areas are real; the numbers are drawn, the same ones each time.
"""

import csv
import hashlib
import io
import os
import random

# state: (test positivity, wards in each LGA, LGAs)
STATES = {
    "Benue": (0.31, 12, """Ado,Agatu,Apa,Buruku,Gboko,Guma,Gwer East,Gwer West,Katsina-Ala,Konshisha,Kwande,Logo,Makurdi,
        Obi,Ogbadibo,Ohimini,Oju,Okpokwu,Otukpo,Tarka,Ukum,Ushongo,Vandeikya"""),
    "Kebbi": (0.52, 11, """Aleiro,Arewa Dandi,Argungu,Augie,Bagudo,Birnin Kebbi,Bunza,Dandi,Fakai,Gwandu,Jega,Kalgo,
        Koko/Besse,Maiyama,Ngaski,Sakaba,Shanga,Suru,Wasagu/Danko,Yauri,Zuru"""),
    "Adamawa": (0.38, 11, """Demsa,Fufore,Ganye,Girei,Gombi,Guyuk,Hong,Jada,Lamurde,Madagali,Maiha,Mayo Belwa,Michika,
        Mubi North,Mubi South,Numan,Shelleng,Song,Toungo,Yola North,Yola South"""),
    "Cross River": (0.27, 11, """Abi,Akamkpa,Akpabuyo,Bakassi,Bekwarra,Biase,Boki,Calabar Municipal,Calabar South,Etung,
        Ikom,Obanliku,Obubra,Obudu,Odukpani,Ogoja,Yakuur,Yala"""),
    "Ebonyi": (0.35, 13, """Abakaliki,Afikpo North,Afikpo South,Ebonyi,Ezza North,Ezza South,Ikwo,Ishielu,Ivo,Izzi,
        Ohaozara,Ohaukwu,Onicha"""),
    "Kwara": (0.29, 12, """Asa,Baruten,Edu,Ekiti,Ifelodun,Ilorin East,Ilorin South,Ilorin West,Irepodun,Isin,Kaiama,Moro,
        Offa,Oke Ero,Oyun,Pategi"""),
    "Niger": (0.44, 11, """Agaie,Agwara,Bida,Borgu,Bosso,Chanchaga,Edati,Gbako,Gurara,Katcha,Kontagora,Lapai,Lavun,Magama,
        Mariga,Mashegu,Mokwa,Munya,Paikoro,Rafi,Rijau,Shiroro,Suleja,Tafa,Wushishi"""),
    "Ogun": (0.22, 12, """Abeokuta North,Abeokuta South,Ado-Odo/Ota,Ewekoro,Ifo,Ijebu East,Ijebu North,Ijebu North East,
        Ijebu Ode,Ikenne,Imeko Afon,Ipokia,Obafemi Owode,Odeda,Odogbolu,Ogun Waterside,Remo North,Sagamu,Yewa North,
        Yewa South"""),
    "Osun": (0.24, 11, """Atakunmosa East,Atakunmosa West,Ayedaade,Ayedire,Boluwaduro,Boripe,Ede North,Ede South,Egbedore,
        Ejigbo,Ife Central,Ife East,Ife North,Ife South,Ifedayo,Ifelodun,Ila,Ilesa East,Ilesa West,Irepodun,Irewole,
        Isokan,Iwo,Obokun,Odo Otin,Ola Oluwa,Olorunda,Oriade,Orolu,Osogbo"""),
    "Plateau": (0.26, 13, """Barkin Ladi,Bassa,Bokkos,Jos East,Jos North,Jos South,Kanam,Kanke,Langtang North,
        Langtang South,Mangu,Mikang,Pankshin,Qua'an Pan,Riyom,Shendam,Wase"""),
    "Yobe": (0.47, 10, """Bade,Bursari,Damaturu,Fika,Fune,Geidam,Gujba,Gulani,Jakusko,Karasuwa,Machina,Nangere,Nguru,
        Potiskum,Tarmuwa,Yunusari,Yusufari"""),
    "Zamfara": (0.55, 11, """Anka,Bakura,Birnin Magaji/Kiyaw,Bukkuyum,Bungudu,Chafe,Gummi,Gusau,Kaura Namoda,Maradun,Maru,
        Shinkafi,Talata Mafara,Zurmi"""),
}
FACILITIES = 4  # in each ward
COLUMNS = ["state", "lga", "ward", "facility", "month", "tested", "positive"]


def quarter(user, state, number, facilities=FACILITIES):
    """What a user uploads for a quarter (1 to 4): (name, bytes). The same bytes each time; the name is everybody's."""
    positivity, wards, lgas = STATES[state]
    rng = random.Random(f"{user} {number}")
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(COLUMNS)
    for lga in lgas.split(","):
        level = rng.gauss(positivity, 0.05)
        for ward in range(1, wards + 1):
            for facility in range(1, facilities + 1):
                for month in range(3 * number - 2, 3 * number + 1):
                    tested = rng.randint(40, 400)
                    positive = min(tested, max(0, round(tested * rng.gauss(level, 0.04))))
                    rows.writerow([state, lga.strip(), f"Ward {ward}", f"PHC {facility}", f"2025-{month:02}",
                                   tested, positive])
    return f"tpr_2025_q{number}.csv", out.getvalue().encode()


def hashes_below(directory):
    """The hashes of all files that are there: by them it is told whose data somewhere are."""
    found = set()
    for at, _, names in os.walk(directory):
        for name in names:
            with open(os.path.join(at, name), "rb") as f:
                found.add(hashlib.sha256(f.read()).hexdigest())
    return found
